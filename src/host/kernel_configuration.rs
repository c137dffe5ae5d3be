//! The running kernel's configuration: what `CONFIG_...` is.
//!
//! libbpf looks for it, too, but only where its own process sees it: not at the host of a container.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::{Roots, file};
use crate::elf::ALWAYS_SET;

/// A configuration has some 300 KB. Nothing of a file's size is trusted, packed or not.
const MOST: u64 = 16 << 20;

/// Where a configuration is, and what it says of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelConfiguration {
    /// The file.
    pub path: PathBuf,
    /// The options that it sets, as they are written: `y`, `250`, `"text"`.
    pub options: HashMap<String, String>,
}

/// What a kernel is built with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelBuild {
    /// The file that says it.
    pub path: PathBuf,
    /// Options that are switched on, or modules.
    set: HashSet<Box<str>>,
}

impl KernelBuild {
    /// The first of some options that the kernel was built without.
    #[must_use]
    pub fn lacks<'n>(&self, options: &[&'n str]) -> Option<&'n str> {
        options.iter().copied().find(|option| !self.set.contains(*option))
    }
}

/// The files that it may be in, the best one first.
pub(super) fn places(given: Option<&Path>, roots: &Roots) -> Vec<PathBuf> {
    if let Some(path) = given {
        return vec![path.to_owned()];
    }
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    vec![roots.rootfs.join(format!("boot/config-{release}")), roots.procfs.join("config.gz")]
}

/// What the first file that is there says of some options.
///
/// # Errors
/// When there is none, or it cannot be read.
pub(super) fn read(places: &[PathBuf], names: &[&str]) -> io::Result<KernelConfiguration> {
    let mut options = HashMap::new();
    let path = for_each(places, |name, value| {
        if names.contains(&name) {
            // Of an option that is set again libbpf takes the first.
            options.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    })?;
    Ok(KernelConfiguration { path, options })
}

/// What the first file that is there switches on.
///
/// # Errors
/// When there is none, it cannot be read, or it is not all of a configuration.
pub(super) fn build(places: &[PathBuf]) -> io::Result<KernelBuild> {
    let mut set = HashSet::new();
    let path = for_each(places, |name, value| {
        if matches!(value, "y" | "m") {
            set.insert(name.into());
        }
    })?;
    if !set.contains(ALWAYS_SET) {
        let error = io::Error::other(format!(
            "{ALWAYS_SET} is not set in it, as in those of all kernels that take BPF"
        ));
        return Err(file::with_path(&path, &error));
    }
    Ok(KernelBuild { path, set })
}

/// Every option that the first file which is there sets; gives its path.
fn for_each(places: &[PathBuf], mut option: impl FnMut(&str, &str)) -> io::Result<PathBuf> {
    let found = places.iter().find(|path| path.exists());
    let path = found.or(places.last()).ok_or(io::ErrorKind::NotFound)?;
    let with_path = |error: io::Error| file::with_path(path, &error);
    let mut head = Vec::new();
    file::open(path)?.take(2).read_to_end(&mut head).map_err(with_path)?;
    let opened = file::open(path)?.take(MOST);
    let text: Box<dyn Read> = match head.as_slice() {
        [0x1f, 0x8b] => Box::new(MultiGzDecoder::new(opened).take(MOST)),
        _ => Box::new(opened),
    };
    for line in BufReader::new(text).split(b'\n') {
        let line = line.map_err(with_path)?;
        let line = std::str::from_utf8(&line).ok();
        if let Some((name, value)) = line.and_then(|line| line.trim_end().split_once('=')) {
            option(name, value);
        }
    }
    Ok(path.clone())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const TEXT: &str = "#\n# Linux\n#\nCONFIG_HZ=250\n# CONFIG_OFF is not set\nCONFIG_A=y\nCONFIG_A=m\nCONFIG_LONG_A=n\n\
                        CONFIG_NAME=\"a=b\"\nCONFIG_\u{fc}=y\n";

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn options_are_found_in_plain_and_packed_files() {
        for bytes in [TEXT.as_bytes().to_vec(), packed(TEXT.as_bytes())] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("config");
            std::fs::write(&path, bytes).unwrap();
            let names = ["CONFIG_HZ", "CONFIG_OFF", "CONFIG_A", "CONFIG_NAME"];
            let found = read(&[folder.path().join("none"), path.clone()], &names).unwrap();
            assert_eq!(found.path, path);
            let mut options: Vec<_> =
                found.options.iter().map(|(name, value)| format!("{name}={value}")).collect();
            options.sort_unstable();
            assert_eq!(options, ["CONFIG_A=y", "CONFIG_HZ=250", "CONFIG_NAME=\"a=b\""]);
        }
    }

    #[test]
    fn what_a_kernel_is_built_without_is_known_from_whole_configurations() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let places = [path.clone()];
        let whole = format!("{TEXT}{ALWAYS_SET}=y\nCONFIG_MODULE=m\nCONFIG_NO=n\n");
        std::fs::write(&path, whole).unwrap();
        let found = build(&places).unwrap();
        assert_eq!(found.path, path);
        assert_eq!(found.lacks(&["CONFIG_A", "CONFIG_MODULE"]), None);
        assert_eq!(found.lacks(&["CONFIG_A", "CONFIG_OFF", "CONFIG_NO"]), Some("CONFIG_OFF"));
        assert_eq!(found.lacks(&["CONFIG_NO"]), Some("CONFIG_NO"));
        assert_eq!(found.lacks(&[]), None);
        // What was written for a program's questions says nothing of the rest.
        std::fs::write(&path, TEXT).unwrap();
        let error = build(&places).unwrap_err().to_string();
        assert!(error.contains("config: ") && error.contains(ALWAYS_SET), "{error}");
        assert_eq!(build(&[folder.path().join("none")]).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_one_of_this_kernel_is_looked_for_below_the_roots() {
        let roots = Roots { rootfs: "/host".into(), procfs: "/host/proc".into(), ..Roots::default() };
        let found = places(None, &roots);
        assert!(found[0].starts_with("/host/boot") && found[0].to_string_lossy().contains("config-"));
        assert_eq!(found[1], Path::new("/host/proc/config.gz"));
        assert_eq!(places(Some(Path::new("/given")), &roots), [Path::new("/given")]);
    }

    #[test]
    fn what_is_none_is_an_error_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("config.gz");
        let error = read(std::slice::from_ref(&missing), &["CONFIG_HZ"]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("config.gz"), "{error}");
        let whole = packed(TEXT.as_bytes());
        std::fs::write(&missing, &whole[..whole.len() / 2]).unwrap();
        assert!(read(&[missing], &["CONFIG_HZ"]).unwrap_err().to_string().contains("config.gz"));
    }

    /// A thousand times what it is packed to, but not without end.
    #[test]
    fn what_unpacks_to_too_much_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.gz");
        let mut large = vec![b'\n'; usize::try_from(MOST).unwrap()];
        large.extend(b"CONFIG_HZ=250\n");
        std::fs::write(&path, packed(&large)).unwrap();
        assert_eq!(read(&[path], &["CONFIG_HZ"]).unwrap().options.len(), 0);
    }
}
