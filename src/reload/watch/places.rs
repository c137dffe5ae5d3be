//! Which directories matter to paths, and which names in them.
//!
//! A path is walked as the kernel walks it. Each directory on the way matters, for the
//! one name in it that leads on: when that is renamed, removed, created, or is a link that
//! is swapped, the path leads elsewhere.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};

use super::Followed;
use super::debounce::Change;

/// As many links as the kernel follows in a path.
const MOST_LINKS: usize = 40;

/// File systems that are changed by others than this kernel, which then has nothing to tell.
///
/// overlayfs is none of them: all who use the overlay change it through the overlay, which
/// tells, and the kernel forbids changes below it.
const WITHOUT_EVENTS: &[(u32, &str)] = &[
    (0x0000_6969, "nfs"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb"),
    (0x0000_517b, "smb"),
    (0x6573_5546, "fuse"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "ceph"),
    (0x5346_414f, "afs"),
    (0x6b41_4653, "afs"),
    (0x7375_7245, "coda"),
    (0x0116_1970, "gfs2"),
    (0x7461_636f, "ocfs2"),
    (0x0bd0_0bd0, "lustre"),
    (0x4750_4653, "gpfs"),
    (0x786f_4256, "vboxsf"),
    (0xbacb_acbc, "vmhgfs"),
];

/// A file by the numbers of its device and inode, whatever path leads to it.
pub(super) type Identity = (u64, u64);

/// One directory, or a file that has no directory here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) identity: Identity,
    /// Whether every name in it matters.
    every: bool,
    names: BTreeSet<OsString>,
    /// Whether what matters in it is more than directories on the way.
    pub(super) holds: bool,
}

/// All that matters to some paths, by physical path: no link is in it. Each directory is
/// there once, even when several paths lead to it through bind mounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    places: BTreeMap<PathBuf, Place>,
    by_identity: HashMap<Identity, PathBuf>,
}

impl Places {
    /// Walks all paths that are followed, as far as they exist.
    pub(super) fn find(followed: &Followed) -> Self {
        let mut found = Self::default();
        for folder in &followed.folders {
            // What is a file now may become a folder; until then its name is enough.
            if let Ok(Some(folder)) = found.walk(folder)
                && let Ok(place) = found.enter(&folder)
            {
                place.every = true;
                place.holds = true;
            }
        }
        for file in &followed.files {
            let _ = found.walk(file);
        }
        found
    }

    /// Walks one path; the directory that it leads to, if it is one. An error ends the
    /// walk where the path ends for now.
    fn walk(&mut self, path: &Path) -> io::Result<Option<PathBuf>> {
        let mut here = PathBuf::from("/");
        let mut left = names(&std::path::absolute(path)?);
        let mut links = 0;
        while let Some(name) = left.pop() {
            if name == ".." {
                here.pop();
                continue;
            }
            let there = here.join(&name);
            let found = fs::symlink_metadata(&there);
            let place = self.enter(&here)?;
            place.names.insert(name);
            let found = found.inspect_err(|_| place.holds = true)?;
            place.holds |= !found.is_dir();
            if found.is_symlink() {
                links += 1;
                if links > MOST_LINKS {
                    return Ok(None);
                }
                let target = fs::read_link(&there)?;
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                left.extend(names(&target));
            } else if found.is_dir() {
                here = there;
            } else {
                if left.is_empty() && is_mounted(&there) {
                    // Its directory is elsewhere, maybe out of reach: only itself can tell.
                    self.enter(&there)?;
                }
                return Ok(None);
            }
        }
        Ok(Some(here))
    }

    /// The place of a physical path.
    fn enter(&mut self, path: &Path) -> io::Result<&mut Place> {
        let found = fs::symlink_metadata(path)?;
        let identity = (found.dev(), found.ino());
        let path = self.by_identity.entry(identity).or_insert_with(|| path.to_owned());
        Ok(self.places.entry(path.clone()).or_insert_with(|| Place {
            identity,
            every: false,
            names: BTreeSet::new(),
            holds: false,
        }))
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&PathBuf, &Place)> {
        self.places.iter()
    }

    /// One of them.
    pub(super) fn get(&self, path: &Path) -> Option<&Place> {
        self.places.get(path)
    }

    /// Whether something that happened to a path concerns those that are followed.
    pub(super) fn matters(&self, path: &Path, change: Change) -> bool {
        if self.places.contains_key(path) {
            return true;
        }
        let place = path.parent().and_then(|parent| self.places.get(parent));
        place.zip(path.file_name()).is_some_and(|(place, name)| {
            place.names.contains(name) || place.every && (!is_hidden(name) || change.is_of_the_name())
        })
    }

    /// Where changes can be made of which the kernel does not tell. What is only on the way
    /// is not asked: who moves that away from elsewhere is noticed by a re-check.
    pub(super) fn without_events(&self) -> Option<String> {
        self.first_of_kind(without_events)
    }

    fn first_of_kind(&self, kind: fn(i64) -> Option<&'static str>) -> Option<String> {
        self.places.iter().filter(|(_, place)| place.holds).find_map(|(path, _)| {
            let kind = kind(rustix::fs::statfs(path).ok()?.f_type)?;
            Some(format!("{} is on {kind}, where not every change is told", path.display()))
        })
    }
}

/// The identity of a physical path.
pub(super) fn identity(path: &Path) -> Option<Identity> {
    fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// The names of a path, the last first.
fn names(path: &Path) -> Vec<OsString> {
    let name = |part: Component<'_>| match part {
        Component::Normal(_) | Component::ParentDir => Some(part.as_os_str().to_owned()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    };
    path.components().rev().filter_map(name).collect()
}

/// What an editor writes to its hidden file, which it keeps open, is no change of a
/// config; that such a name comes and goes can be one: `..data` of Kubernetes.
fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b".")
}

/// Whether a file is mounted where it is, as containers do with single files.
fn is_mounted(path: &Path) -> bool {
    rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE)
        .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// The name of a file system, by its magic number, if it is one without events.
fn without_events(magic: i64) -> Option<&'static str> {
    WITHOUT_EVENTS.iter().find(|(known, _)| i64::from(*known) == magic & 0xffff_ffff).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A tree with links in it.
    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("releases/1")).unwrap();
        fs::write(root.path().join("releases/1/a.yaml"), "").unwrap();
        symlink("releases/1", root.path().join("conf")).unwrap();
        symlink(root.path().join("conf/a.yaml"), root.path().join("b.yaml")).unwrap();
        symlink("./../up/./conf", root.path().join("releases/back")).unwrap();
        symlink(".", root.path().join("up")).unwrap();
        symlink("ring", root.path().join("ring")).unwrap();
        root
    }

    /// What matters below the root: `folder: names`, with `*` for every name, and `!` when it
    /// holds more than the way.
    fn below(root: &Path, places: &Places) -> Vec<String> {
        let print = |(path, place): (&PathBuf, &Place)| {
            let path = path.strip_prefix(root).ok()?;
            let mut names: Vec<_> = place.names.iter().map(|name| name.to_string_lossy()).collect();
            names.extend(place.every.then_some("*".into()));
            let holds = if place.holds { "!" } else { "" };
            Some(format!("{}{holds}: {}", path.display(), names.join(" ")))
        };
        places.iter().filter_map(print).collect()
    }

    #[track_caller]
    fn check(folders: &[&str], files: &[&str], expected: &[&str]) {
        let root = tree();
        let paths = |paths: &[&str]| paths.iter().map(|path| root.path().join(path)).collect();
        let places = Places::find(&Followed { folders: paths(folders), files: paths(files) });
        let root = fs::canonicalize(root.path()).unwrap();
        assert_eq!(below(&root, &places), expected);
        let mut above = root.as_path();
        while let (Some(parent), Some(name)) = (above.parent(), above.file_name()) {
            let place = places.get(parent).unwrap();
            assert!(place.names.iter().eq([name]) && !place.every && !place.holds, "{parent:?}");
            above = parent;
        }
    }

    #[test]
    fn each_directory_on_the_way_matters_for_the_name_that_leads_on() {
        check(&["releases/1"], &[], &[": releases", "releases: 1", "releases/1!: *"]);
        check(&[], &["releases/1/a.yaml"], &[": releases", "releases: 1", "releases/1!: a.yaml"]);
        check(&["releases"], &["releases/1/b"], &[": releases", "releases!: 1 *", "releases/1!: b"]);
    }

    #[test]
    fn links_matter_where_they_are_and_where_they_lead() {
        check(&["conf"], &[], &["!: conf releases", "releases: 1", "releases/1!: *"]);
        check(&[], &["b.yaml"], &["!: b.yaml conf releases", "releases: 1", "releases/1!: a.yaml"]);
        let back = ["!: conf releases up", "releases!: 1 back", "releases/1!: *"];
        check(&["releases/back/"], &[], &back);
        check(&["conf/../none"], &[], &["!: conf releases", "releases!: 1 none"]);
        check(&["ring"], &[], &["!: ring"]);
    }

    #[test]
    fn what_is_not_there_matters_where_it_would_come() {
        check(&["none/conf"], &["none/b/c"], &["!: none"]);
        check(&["releases/1/a.yaml"], &[], &[": releases", "releases: 1", "releases/1!: a.yaml"]);
        check(&["releases/1/a.yaml/b"], &[], &[": releases", "releases: 1", "releases/1!: a.yaml"]);
    }

    #[test]
    fn relative_paths_begin_where_the_process_is() {
        let followed = Followed { folders: vec!["src".into(), PathBuf::new()], files: Vec::new() };
        let places = Places::find(&followed);
        assert!(places.get(&fs::canonicalize("src").unwrap()).unwrap().every);
    }

    #[test]
    fn of_hidden_files_only_their_names_matter_unless_they_are_followed() {
        let root = tree();
        let folder = root.path().join("releases/1");
        let check = |name: &str, change, files: &[&str], expected| {
            let files = files.iter().map(|file| folder.join(file)).collect();
            let places = Places::find(&Followed { folders: vec![folder.clone()], files });
            let path = fs::canonicalize(&folder).unwrap().join(name);
            assert_eq!(places.matters(&path, change), expected, "{name} {change:?}");
        };
        for change in [Change::Written, Change::Closed, Change::Attributes] {
            check("any", change, &[], true);
            check(".any", change, &[], false);
            check(".any", change, &[".any"], true);
        }
        for change in [Change::Appeared, Change::Vanished] {
            check("..data", change, &[], true);
        }
    }

    #[test]
    fn file_systems_are_asked_for_where_something_is_held() {
        let root = tree();
        let folder = fs::canonicalize(root.path()).unwrap().join("releases/1");
        let places = Places::find(&Followed { folders: vec![folder.clone()], files: Vec::new() });
        let why = places.first_of_kind(|_| Some("nfs"));
        assert_eq!(why, Some(format!("{} is on nfs, where not every change is told", folder.display())));
        assert_eq!(places.first_of_kind(|_| None), None);
    }

    #[test]
    fn file_systems_that_others_change_are_known() {
        for (magic, expected) in [
            (0x6969, Some("nfs")),
            (0x6573_5546, Some("fuse")),
            (0xff53_4d42, Some("cifs")),
            // As a machine with 32 bits has it.
            (i64::from(0xff53_4d42_u32.cast_signed()), Some("cifs")),
            (0x0102_1997, Some("9p")),
            // ext4, tmpfs, overlayfs.
            (0xef53, None),
            (0x0102_1994, None),
            (0x794c_7630, None),
        ] {
            assert_eq!(without_events(magic), expected, "{magic:#x}");
        }
    }
}
