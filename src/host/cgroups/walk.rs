//! One walk over a tree of cgroups: which path has which id.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, openat, statat};

use super::hierarchy::{Hierarchy, Kind};

/// Twice the memory cgroups that a kernel allows.
pub(super) const MOST_CGROUPS: usize = 131_072;

/// Deeper than anybody nests containers.
pub(super) const DEEPEST: usize = 128;

/// Names read from a directory at a time.
pub(super) const BUFFER: usize = 32 << 10;

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Places by id.
    pub(super) paths: HashMap<u64, Place>,
}

/// Where a cgroup is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    path: Arc<str>,
    /// How much of the path is the name of its hierarchy's root.
    prefix: usize,
    /// Which hierarchy it is in.
    pub(super) hierarchy: usize,
    /// Whether v1 hierarchies use the id for different paths.
    ambiguous: bool,
}

impl Place {
    /// A place below the root of a hierarchy.
    pub(super) fn new(hierarchy: &Hierarchy, number: usize, relative: &str) -> Self {
        let path = format!("{}{relative}", hierarchy.printed).into();
        Self { path, prefix: hierarchy.printed.len(), hierarchy: number, ambiguous: false }
    }

    /// Its path as it is printed; none when it is not certain which cgroup is meant.
    pub(super) fn printed(&self) -> Option<Arc<str>> {
        (!self.ambiguous).then(|| self.path.clone())
    }

    /// Where it can be looked at.
    pub(super) fn path(&self, hierarchies: &[Hierarchy]) -> Option<PathBuf> {
        Some(hierarchies.get(self.hierarchy)?.root.join(self.relative().trim_start_matches('/')))
    }

    fn relative(&self) -> &str {
        self.path.get(self.prefix..).unwrap_or_default()
    }
}

impl Found {
    /// Walks one hierarchy. Whatever vanishes meanwhile is simply not found.
    pub(super) fn walk(&mut self, number: usize, hierarchy: &Hierarchy) {
        let Ok(root) = statat(CWD, &hierarchy.root, AtFlags::empty()) else { return };
        self.add(root.st_ino, number, hierarchy, "");
        let mut buffer = vec![MaybeUninit::uninit(); BUFFER];
        let mut open = vec![(String::new(), 0)];
        while let Some((parent, depth)) = open.pop() {
            for (id, name) in children(hierarchy, &parent, &mut buffer) {
                if self.paths.len() >= MOST_CGROUPS {
                    return;
                }
                let path = format!("{parent}/{name}");
                self.add(id, number, hierarchy, &path);
                if depth < DEEPEST {
                    open.push((path, depth + 1));
                }
            }
        }
    }

    fn add(&mut self, id: u64, number: usize, hierarchy: &Hierarchy, relative: &str) {
        match self.paths.get_mut(&id) {
            Some(other) if other.relative() != relative => other.ambiguous = true,
            Some(_) => {}
            None => {
                self.paths.insert(id, Place::new(hierarchy, number, relative));
            }
        }
    }
}

/// The directories in a directory, with their inode numbers.
pub(super) fn children(
    hierarchy: &Hierarchy,
    parent: &str,
    buffer: &mut [MaybeUninit<u8>],
) -> Vec<(u64, String)> {
    let mut children = Vec::new();
    let path = hierarchy.root.join(parent.trim_start_matches('/'));
    // A cgroup without children has two links; most are such, and reading their 40 files is most of a walk.
    let flags = if parent.is_empty() { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
    let leaf = statat(CWD, &path, flags).is_ok_and(|found| found.st_nlink == 2);
    if leaf && hierarchy.kind != Kind::Plain {
        return children;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(directory) = openat(CWD, &path, flags, Mode::empty()) else { return children };
    let mut entries = RawDir::new(directory, buffer);
    while let Some(Ok(entry)) = entries.next() {
        if children.len() >= MOST_CGROUPS {
            break;
        }
        let name = entry.file_name().to_bytes();
        if entry.file_type() == FileType::Directory && name != b"." && name != b".." {
            let name = String::from_utf8_lossy(name).into_owned();
            children.push((entry.ino(), name));
        }
    }
    children
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use super::*;

    fn hierarchy(root: &Path, printed: &str) -> Hierarchy {
        Hierarchy { root: root.into(), printed: printed.into(), kind: Kind::Plain }
    }

    fn inode(path: &Path) -> u64 {
        std::fs::metadata(path).unwrap().ino()
    }

    #[test]
    fn every_folder_is_found_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::create_dir(root.join("c d")).unwrap();
        std::fs::write(root.join("file"), "").unwrap();
        std::os::unix::fs::symlink("a", root.join("link")).unwrap();
        let mut found = Found::default();
        found.walk(0, &hierarchy(root, "/p"));
        let text = |path: &str| found.paths[&inode(&root.join(path))].printed();
        assert_eq!(text("").as_deref(), Some("/p"));
        assert_eq!(text("a").as_deref(), Some("/p/a"));
        assert_eq!(text("a/b").as_deref(), Some("/p/a/b"));
        assert_eq!(text("c d").as_deref(), Some("/p/c d"));
        assert_eq!(found.paths.len(), 4);
    }

    #[test]
    fn a_root_that_is_not_there_holds_nothing() {
        let mut found = Found::default();
        found.walk(0, &hierarchy(Path::new("/nonexistent"), "/p"));
        assert!(found.paths.is_empty());
    }

    #[test]
    fn an_id_with_two_meanings_has_no_path() {
        let mut found = Found::default();
        let (first, second) = (hierarchy(Path::new("/1"), "/c/cpu"), hierarchy(Path::new("/2"), "/c/memory"));
        for (id, number, hierarchy, path) in [
            (1, 0, &first, ""),
            (7, 0, &first, "/a"),
            (8, 0, &first, "/b"),
            (1, 1, &second, ""),
            (7, 1, &second, "/x"),
            (8, 1, &second, "/b"),
        ] {
            found.add(id, number, hierarchy, path);
        }
        let text = |id| found.paths[&id].printed();
        assert_eq!(text(1).as_deref(), Some("/c/cpu"));
        assert_eq!(text(7), None);
        assert_eq!(text(8).as_deref(), Some("/c/cpu/b"));
    }
}
