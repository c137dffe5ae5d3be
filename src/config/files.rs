//! Reading a config's two files, within bounds.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::raw::Found;
use super::{ConfigFile, Options, architecture, rights};
use crate::problem::{Place, Position, Problem};

/// Bytes of a YAML file: the largest real ones have a tenth of a percent of it.
const MAX_TEXT: u64 = 4 << 20;

/// Bytes of an object.
const MAX_OBJECT: u64 = 64 << 20;

/// A file that was read.
pub(super) struct Opened {
    /// What it held.
    pub(super) bytes: Vec<u8>,
    /// Why others can change it.
    pub(super) weakness: Option<String>,
}

/// The bytes of a config.
pub(super) fn config(file: &ConfigFile) -> Result<Opened, Box<Problem>> {
    let refuse = |code, message: &str, found: String| {
        Box::new(Problem::error(code, file.place(), message).found(found))
    };
    match bounded(&file.path, MAX_TEXT) {
        Ok(Some(opened)) => Ok(opened),
        Ok(None) => {
            let found = format!("more than {} MiB", MAX_TEXT >> 20);
            Err(refuse("too-large", "the file is too large for a config", found))
        }
        Err(error) => Err(refuse("unreadable", "the config cannot be read", error.to_string())),
    }
}

/// The text of a config.
pub(super) fn text(file: &ConfigFile, bytes: &[u8]) -> Result<String, Box<Problem>> {
    decode(bytes.to_vec()).map_err(|valid| {
        let text = String::from_utf8_lossy(&valid);
        let last = text.lines().last().unwrap_or_default();
        let (line, column) = if text.ends_with('\n') { (1, 1) } else { (0, last.chars().count() + 1) };
        let line = text.lines().count() + line;
        let mut problem = Problem::error("not-utf8", file.place(), "the config is not text")
            .found("bytes that are not UTF-8");
        problem.place.position = Some(Position { line: line.max(1), column });
        Box::new(problem.help("save the file as UTF-8"))
    })
}

/// UTF-8, or UTF-16 with a byte order mark, which YAML allows too. The error holds the bytes that are right.
fn decode(bytes: Vec<u8>) -> Result<String, Vec<u8>> {
    let utf16 = |of: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|pair| of([pair[0], pair[1]])).collect();
        String::from_utf16(&units).map_err(|_| Vec::new())
    };
    match bytes.get(..2) {
        Some([0xff, 0xfe]) => return utf16(u16::from_le_bytes),
        Some([0xfe, 0xff]) => return utf16(u16::from_be_bytes),
        _ => {}
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let end = error.utf8_error().valid_up_to();
        error.into_bytes()[..end].to_vec()
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// Where the object of a config may be, the best place first: what `object:` says, else by the name of the config.
pub(super) fn object_places(file: &ConfigFile, written: Option<&str>, options: &Options) -> Vec<PathBuf> {
    // Of a config in a folder below, the object is beside it.
    let stem = file.name.rsplit('/').next().unwrap_or_default();
    let names = architecture::preferred(&written.map_or_else(|| format!("{stem}.bpf.o"), str::to_owned));
    let beside = file.path.parent().map_or_else(PathBuf::new, Path::to_owned);
    let mut places: Vec<PathBuf> = Vec::new();
    for dir in std::iter::once(&beside).chain(&options.object_dir) {
        for name in &names {
            let path = dir.join(name);
            if !places.contains(&path) {
                places.push(path);
            }
        }
    }
    places
}

/// Whether a config names an object, or there is one by its name.
pub(super) fn has_object(file: &ConfigFile, written: Option<&Found<String>>, options: &Options) -> bool {
    written.is_some() || object_places(file, None, options).iter().any(|path| path.exists())
}

/// Finds the object of a config.
pub(super) fn find_object(
    file: &ConfigFile,
    written: Option<&Found<String>>,
    options: &Options,
) -> Result<PathBuf, Box<Problem>> {
    let tried = object_places(file, written.map(|found| found.value.as_str()), options);
    if let Some(path) = tried.iter().find(|path| path.exists()) {
        return Ok(path.clone());
    }
    let mut place = file.place();
    let mut message = "the config's object is missing".to_owned();
    if let Some(found) = written {
        place.path.clone_from(&found.spot.path);
        place.position = found.spot.position;
        message = format!("the object {:?} is missing", found.value);
    }
    let help = architecture::beside(&tried).unwrap_or_else(|| {
        "`object:` names the file when it is not the config's name; --object.dir adds a folder to look in"
            .to_owned()
    });
    let tried: Vec<String> = tried.iter().map(|path| path.display().to_string()).collect();
    let problem = Problem::error("missing-object", place, message);
    Err(Box::new(problem.expected(format!("one of {}", tried.join(", "))).help(help)))
}

/// The bytes of an object.
pub(super) fn object(file: &ConfigFile, path: &Path) -> Result<Opened, Box<Problem>> {
    let refuse = |code, message: &str, found: String| {
        Box::new(Problem::error(code, object_place(file, path), message).found(found))
    };
    match bounded(path, MAX_OBJECT) {
        Ok(Some(opened)) => Ok(opened),
        Ok(None) => {
            let found = format!("more than {} MiB", MAX_OBJECT >> 20);
            Err(refuse("too-large", "the file is too large for an object", found))
        }
        Err(error) => Err(refuse("unreadable", "the object cannot be read", error.to_string())),
    }
}

/// The place of problems of an object.
pub(super) fn object_place(file: &ConfigFile, path: &Path) -> Place {
    Place { file: Some(path.to_owned()), ..file.place() }
}

/// A file's bytes; none when it holds more than allowed.
pub(super) fn bounded(path: &Path, limit: u64) -> io::Result<Option<Opened>> {
    // A pipe would be waited for, a device read for ever.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a file"));
    }
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    let weakness = rights::weakness(path, &file.metadata()?);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(Opened { bytes, weakness }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_byte_order_are_no_content() {
        let utf16 =
            |text: &str, of: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(of).collect::<Vec<u8>>();
        for bytes in [
            b"a: \xc3\xbc\n".to_vec(),
            b"\xef\xbb\xbfa: \xc3\xbc\n".to_vec(),
            utf16("\u{feff}a: ü\n", u16::to_le_bytes),
            utf16("\u{feff}a: ü\n", u16::to_be_bytes),
        ] {
            assert_eq!(decode(bytes).unwrap(), "a: ü\n");
        }
        assert_eq!(decode(b"\xff\xfe".to_vec()).unwrap(), "");
    }

    #[test]
    fn what_is_not_text_is_shown_where_it_begins() {
        let dir = tempfile::tempdir().unwrap();
        for (bytes, line, column) in
            [(&b"a: 1\nb: \xff\n"[..], 2, 4), (b"\x80", 1, 1), (b"a\n\x80", 2, 1), (b"\xc3\xbc\x80", 1, 2)]
        {
            let file = ConfigFile::new(dir.path().join("x.yaml"));
            let problem = text(&file, bytes).unwrap_err();
            assert_eq!((problem.code, problem.place.position), ("not-utf8", Some(Position { line, column })));
        }
    }

    #[test]
    fn what_is_no_file_or_too_large_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let code = |path: &Path| config(&ConfigFile::new(path)).err().unwrap().code;
        assert_eq!(code(dir.path()), "unreadable");
        assert_eq!(code(Path::new("/dev/zero")), "unreadable");
        assert_eq!(code(&dir.path().join("none.yaml")), "unreadable");
        let large = dir.path().join("large.yaml");
        File::create(&large).unwrap().set_len(MAX_TEXT + 1).unwrap();
        assert_eq!(code(&large), "too-large");
        File::create(&large).unwrap().set_len(MAX_TEXT).unwrap();
        assert!(config(&ConfigFile::new(&large)).is_ok());
    }

    #[test]
    fn objects_are_looked_for_beside_the_config_first() {
        let (configs, objects) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = ConfigFile::new(configs.path().join("tcp.yaml"));
        let options = Options {
            namespace: String::new(),
            max_series: None,
            object_dir: Some(objects.path().to_owned()),
            host: std::sync::Arc::new(crate::host::Host::new(crate::host::Roots::default())),
            insecure: crate::config::Insecure::Allowed,
        };
        let missing = find_object(&file, None, &options).unwrap_err();
        assert_eq!(missing.code, "missing-object");
        assert_eq!(missing.expected.unwrap().matches("tcp").count(), 4);
        let by_arch = format!("tcp.{}.bpf.o", std::env::consts::ARCH);
        // Each that comes is preferred to those before.
        for path in [
            objects.path().join("tcp.bpf.o"),
            objects.path().join(&by_arch),
            configs.path().join("tcp.bpf.o"),
            configs.path().join(&by_arch),
        ] {
            std::fs::write(&path, "").unwrap();
            assert_eq!(find_object(&file, None, &options).unwrap(), path);
        }
        let below = ConfigFile { name: "sub/tcp".to_owned(), path: file.path.clone() };
        assert_eq!(find_object(&below, None, &options).unwrap(), configs.path().join(&by_arch));
        let written =
            |value: &str| Found { value: value.to_owned(), spot: super::super::findings::Spot::default() };
        std::fs::write(objects.path().join("other.o"), "").unwrap();
        let other = find_object(&file, Some(&written("other.o")), &options).unwrap();
        assert_eq!(other, objects.path().join("other.o"));
        let absolute = written(other.to_str().unwrap());
        assert_eq!(find_object(&file, Some(&absolute), &options).unwrap(), other);
        // What is named is looked for by the same rule.
        let named = configs.path().join(&by_arch);
        assert_eq!(find_object(&file, Some(&written("tcp.bpf.o")), &options).unwrap(), named);
        let for_others = written("tcp.riscv64.bpf.o");
        let missing = find_object(&file, Some(&for_others), &options).unwrap_err();
        assert_eq!(missing.expected.unwrap().matches("riscv64").count(), 2);
    }
}
