//! Files of programs and libraries: by path, by name, below the roots of containers.
//!
//! The same file may be found under many paths (`/proc/*/root` leads each process of a container to the same
//! root): [`Identity`] tells which ones are the same, and that a file was replaced.

use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::hash::{Hash, Hasher};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstatfs, openat, openat2};

use super::Pattern;
use super::file::read_at_most;

/// Directories that are looked into, and files that are found.
const MOST_VISITED: usize = 16_384;
const MOST_FOUND: usize = 4096;

/// Where libraries are when the linker's cache does not tell.
const LIBRARIES: &[&str] = &[
    "lib64",
    "usr/lib64",
    "lib",
    "usr/lib",
    "usr/local/lib",
    #[cfg(target_arch = "x86_64")]
    "usr/lib/x86_64-linux-gnu",
    #[cfg(target_arch = "aarch64")]
    "usr/lib/aarch64-linux-gnu",
];

const PROGRAMS: &[&str] = &["usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin"];

/// A file of machine code. Two that are the same file are equal, whatever paths lead to it.
#[derive(Clone, Debug)]
pub struct Binary {
    /// A path that leads to it.
    pub path: PathBuf,
    /// What the file is, whatever its path.
    pub identity: Identity,
}

/// What tells a file from all others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// Its device and inode.
    Inode(u64, u64),
    /// Of an overlay, which gives a file of its layers a device number of its own. Containers of one image have the same
    /// file below, and the kernel probes that one: a probe in each of their overlays would count each call so many times.
    /// The file below is told by what overlays show of it as it is.
    Layered {
        /// The lower half, because the upper one can tell of the layer.
        inode: u32,
        /// Bytes.
        size: u64,
        /// When its content changed, and when the file did: seconds and nanoseconds.
        times: [(i64, i64); 2],
    },
}

/// `OVERLAYFS_SUPER_MAGIC`
const OVERLAY: u64 = 0x794c_7630;

impl Identity {
    fn of(file: &impl AsFd, found: &Metadata) -> Self {
        let is_layered = fstatfs(file).is_ok_and(|found| found.f_type as u64 == OVERLAY);
        if !is_layered {
            return Self::Inode(found.dev(), found.ino());
        }
        Self::Layered {
            inode: found.ino() as u32,
            size: found.size(),
            times: [(found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec())],
        }
    }
}

impl PartialEq for Binary {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl Eq for Binary {}

impl Hash for Binary {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity.hash(state);
    }
}

/// The files that are meant, each once, and what is not there of those that are named without `*`.
pub(super) fn select(files: &[String], roots: &[String]) -> (Vec<Binary>, Vec<String>) {
    let is_exact = |text: &String| Pattern::new(text).is_exact();
    // What is looked for in containers may come with one of them.
    let is_certain = roots.iter().all(is_exact);
    let roots = if roots.is_empty() { vec![PathBuf::from("/")] } else { folders(roots) };
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    let mut known = HashSet::new();
    for file in files {
        let is_there = roots.iter().fold(false, |is_there, root| {
            let new = if file.contains('/') { by_path(root, file) } else { by_name(root, file) };
            let is_found = !new.is_empty();
            let room = MOST_FOUND.saturating_sub(found.len());
            found.extend(new.into_iter().filter(|binary| known.insert(binary.identity.clone())).take(room));
            is_there || is_found
        });
        if !is_there && is_certain && is_exact(file) {
            missing.push(file.clone());
        }
    }
    (found, missing)
}

/// Files by an absolute path with `*` and `?` within its names.
pub(super) fn paths(pattern: &str) -> Vec<Binary> {
    expand(Path::new("/"), pattern).into_iter().filter_map(|path| identify(path, false)).collect()
}

/// The folders that are meant, each once whatever its paths.
fn folders(patterns: &[String]) -> Vec<PathBuf> {
    let mut known = HashSet::new();
    let all = patterns.iter().flat_map(|pattern| expand(Path::new("/"), pattern));
    let found = all.filter_map(|path| {
        // The root of a process is a link, which has to be followed to its end.
        let found = std::fs::metadata(path.join(".")).ok()?;
        (found.is_dir() && known.insert((found.dev(), found.ino()))).then_some(path)
    });
    found.take(MOST_FOUND).collect()
}

fn by_path(root: &Path, pattern: &str) -> Vec<Binary> {
    let found = expand(root, pattern).into_iter().filter_map(|path| identify(path, true));
    found.filter(|binary| is_within(root, binary)).collect()
}

/// Whether a path leads to the same file for those whose root the folder is. A link within a container that
/// begins at its root would lead to a file of this machine.
fn is_within(root: &Path, binary: &Binary) -> bool {
    if root == Path::new("/") {
        return true;
    }
    let Ok(below) = binary.path.strip_prefix(root) else { return false };
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let found = openat(CWD, root, flags | OFlags::DIRECTORY, Mode::empty())
        .and_then(|root| openat2(&root, below, flags, Mode::empty(), ResolveFlags::IN_ROOT));
    let found = found.ok().and_then(|found| {
        let found = File::from(found);
        Some(Identity::of(&found, &found.metadata().ok()?))
    });
    found.as_ref() == Some(&binary.identity)
}

/// A library by the linker's cache or where libraries are, else a program.
fn by_name(root: &Path, name: &str) -> Vec<Binary> {
    let pattern = Pattern::new(name);
    let is_library = name.contains(".so");
    let cached = if is_library { cache(root, &pattern) } else { Vec::new() };
    let cached: Vec<Binary> = cached.iter().flat_map(|path| by_path(root, path)).collect();
    if !cached.is_empty() {
        return cached;
    }
    let folders = if is_library { LIBRARIES } else { PROGRAMS };
    let mut found = folders.iter().map(|folder| by_path(root, &format!("{folder}/{name}")));
    // Of one name the first that is found is meant, as when the system looks for it.
    if pattern.is_exact() {
        return found.find(|found| !found.is_empty()).unwrap_or_default();
    }
    found.flatten().collect()
}

fn identify(path: PathBuf, is_file: bool) -> Option<Binary> {
    // Nothing is read of it, and a device or a pipe does nothing when it is opened so.
    let file = openat(CWD, &path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok().map(File::from)?;
    let found = file.metadata().ok()?;
    (found.is_file() || !is_file).then(|| Binary { path, identity: Identity::of(&file, &found) })
}

/// Paths below a folder by a pattern; those without `*` need not be there.
fn expand(root: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut open = vec![root.to_path_buf()];
    let mut visited = 0;
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        // Out of a folder leads no path, whatever a container's files say.
        if part == ".." {
            return Vec::new();
        }
        let part = Pattern::new(part);
        if part.is_exact() {
            open.iter_mut().for_each(|path| path.push(part.text()));
            continue;
        }
        let mut next = Vec::new();
        for folder in open {
            visited += 1;
            if visited > MOST_VISITED || next.len() > MOST_VISITED {
                break;
            }
            let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
            let names = entries.map(|entry| entry.file_name());
            next.extend(
                names.filter(|name| part.matches(&name.to_string_lossy())).map(|name| folder.join(name)),
            );
        }
        next.sort_unstable();
        open = next;
    }
    open
}

/// The header of the linker's cache in its present form, and one of its entries.
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;

/// The paths that the linker's cache has for names.
fn cache(root: &Path, pattern: &Pattern) -> Vec<String> {
    let bytes = read_at_most(&root.join("etc/ld.so.cache"), 16 << 20).unwrap_or_default();
    parse_cache(&bytes, pattern).unwrap_or_default()
}

/// Each entry has flags, and where its name and its path begin, counted from the header on.
fn parse_cache(bytes: &[u8], pattern: &Pattern) -> Option<Vec<String>> {
    // An older form may stand before it, aligned to 8 bytes.
    let start = bytes.windows(MAGIC.len()).step_by(8).position(|window| window == MAGIC)? * 8;
    let bytes = bytes.get(start..)?;
    let number = |at: usize| {
        let found = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_ne_bytes(found) as usize)
    };
    let text = |at: usize| {
        let rest = bytes.get(at..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(rest.get(..end)?).ok()
    };
    let count = number(MAGIC.len())?.min(bytes.len() / ENTRY);
    let entry = |index: usize| {
        let at = HEADER + index * ENTRY;
        Some((text(number(at + 4)?)?, text(number(at + 8)?)?))
    };
    let found = (0..count).filter_map(entry).filter(|(name, _)| pattern.matches(name));
    // Where several fit (32 bits beside 64, or tuned for a processor), the first one is what is used mostly.
    let mut known = HashSet::new();
    Some(found.filter(|(name, _)| known.insert(*name)).map(|(_, path)| path.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    /// Names below the folder that were found, and what is missing.
    #[track_caller]
    fn check(folder: &Path, files: &[&str], roots: &[&str], found: &[&str], missing: &[&str]) {
        let roots: Vec<String> = roots.iter().map(|root| format!("{}/{root}", folder.display())).collect();
        let (binaries, absent) = select(&texts(files), &roots);
        let name = |binary: &Binary| binary.path.strip_prefix(folder).unwrap().display().to_string();
        assert_eq!(binaries.iter().map(name).collect::<Vec<_>>(), found, "{files:?} {roots:?}");
        assert_eq!(absent, missing);
    }

    #[test]
    fn files_are_found_by_path_and_name_below_roots() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for file in ["a/usr/bin/tool", "a/lib/libx.so.1", "b/usr/bin/tool", "b/usr/lib/libx.so.2"] {
            std::fs::create_dir_all(path.join(file).parent().unwrap()).unwrap();
            std::fs::write(path.join(file), "").unwrap();
        }
        std::os::unix::fs::symlink("a", path.join("same")).unwrap();
        check(path, &["tool"], &["a", "b"], &["a/usr/bin/tool", "b/usr/bin/tool"], &[]);
        check(path, &["/usr/bin/tool"], &["*"], &["a/usr/bin/tool", "b/usr/bin/tool"], &[]);
        check(path, &["libx.so.1"], &["a", "b"], &["a/lib/libx.so.1"], &[]);
        check(path, &["libx.so*"], &["*"], &["a/lib/libx.so.1", "b/usr/lib/libx.so.2"], &[]);
        check(path, &["tool", "/usr/*/tool"], &["a"], &["a/usr/bin/tool"], &[]);
        check(path, &["nothing", "no*"], &["a"], &[], &["nothing"]);
        check(path, &["/usr/bin"], &["a"], &[], &["/usr/bin"]);
        check(path, &["nothing"], &["n*"], &[], &[]);
        // What a link says is meant within its root, and `..` leads nowhere.
        std::os::unix::fs::symlink("/bin/sh", path.join("a/usr/bin/shell")).unwrap();
        std::os::unix::fs::symlink("tool", path.join("a/usr/bin/other")).unwrap();
        check(
            path,
            &["shell", "/usr/../../b/usr/bin/tool"],
            &["a"],
            &[],
            &["shell", "/usr/../../b/usr/bin/tool"],
        );
        check(path, &["other"], &["a"], &["a/usr/bin/other"], &[]);
    }

    #[test]
    fn the_linkers_cache_is_read() {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(2_u32.to_ne_bytes());
        bytes.resize(HEADER, 0);
        let strings = HEADER + 2 * ENTRY;
        let (names, starts) = (b"libx.so.1\0/opt/libx.so.1\0liby.so\0/opt/liby\0", [0, 10, 25, 33]);
        for pair in starts.chunks(2) {
            bytes.extend(0_u32.to_ne_bytes());
            pair.iter().for_each(|start| bytes.extend(((strings + start) as u32).to_ne_bytes()));
            bytes.extend([0; 12]);
        }
        bytes.extend(names);
        let check = |bytes: &[u8], name: &str, expected: &[&str]| {
            assert_eq!(parse_cache(bytes, &Pattern::new(name)).unwrap_or_default(), expected, "{name}");
        };
        check(&bytes, "libx.so.1", &["/opt/libx.so.1"]);
        check(&bytes, "lib*", &["/opt/libx.so.1", "/opt/liby"]);
        check(&bytes, "libz.so", &[]);
        for length in 0..bytes.len() {
            let _ = parse_cache(&bytes[..length], &Pattern::new("*"));
        }
        check(&[&[7; 64][..], &bytes].concat(), "liby.so", &["/opt/liby"]);
    }

    /// Every test of this crate has the C library.
    #[test]
    fn the_systems_own_library_is_found() {
        let (found, missing) = select(&texts(&["libc.so.6"]), &[]);
        assert_eq!((found.len(), missing.len()), (1, 0), "{found:?}");
        // All processes here have the same root, or few have another one.
        let (all, _) = select(&texts(&["libc.so.6"]), &texts(&["/proc/*/root"]));
        assert!(all.iter().any(|binary| binary.identity == found[0].identity), "{all:?}");
    }
}
