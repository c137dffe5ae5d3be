//! Where the cgroup tree is that ids count in, and how its paths are printed.
//!
//! `bpf_get_current_cgroup_id` and its kin give ids of the default hierarchy,
//! which is cgroup v2. It is mounted at the cgroup root (most hosts), in
//! `unified` beside the v1 controllers (hybrid hosts), or anywhere else.
//!
//! Where v2 is mounted nowhere, all processes are in its root, so those helpers
//! have nothing to tell; a program there reads the id from a controller's
//! hierarchy (`task->cgroups->subsys[...]->cgroup->kn->id`). Each v1 hierarchy
//! counts its own inodes, and a number alone does not say which one is meant:
//! it is answered when it has one meaning in all of them, else it stays unknown.

use std::path::{Path, PathBuf};

use rustix::fs::statfs;

use crate::host::Roots;
use crate::host::file::read_at_most;

/// Where the reference, and everybody else, expects the cgroup tree.
const CANONICAL: &str = "/sys/fs/cgroup";

const CGROUP2_SUPER_MAGIC: i128 = 0x6367_7270;
const CGROUP_SUPER_MAGIC: i128 = 0x0027_e0eb;
const SYSFS_MAGIC: i128 = 0x6265_6572;

/// More v1 hierarchies than there are controllers and named ones.
const MOST_HIERARCHIES: usize = 64;

/// One tree of cgroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    /// Where it can be read.
    pub(super) root: PathBuf,
    /// What its root is called on the host.
    pub(super) printed: String,
    /// What kind of tree it is.
    pub(super) kind: Kind,
}

/// What a tree of cgroups promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// cgroup v2: an id belongs to one path for as long as the machine runs; nothing is renamed.
    Unified,
    /// A v1 controller: cgroups can be renamed.
    Controller,
    /// Some other file system that the user said holds the tree: inode numbers are used again at once.
    Plain,
}

/// The hierarchies that ids are looked up in: one, or all v1 controllers where there is no other.
pub(super) fn find(roots: &Roots) -> Vec<Hierarchy> {
    let (cgroupfs, printed) = (&roots.cgroupfs, canonical(&roots.cgroupfs));
    let unified = cgroupfs.join("unified");
    if magic(cgroupfs) == Some(CGROUP2_SUPER_MAGIC) {
        return vec![Hierarchy { root: cgroupfs.clone(), printed, kind: Kind::Unified }];
    }
    if magic(&unified) == Some(CGROUP2_SUPER_MAGIC) {
        let printed = format!("{printed}/unified");
        return vec![Hierarchy { root: unified, printed, kind: Kind::Unified }];
    }
    let controllers = controllers(cgroupfs, &printed);
    let nothing_there = magic(cgroupfs).is_none_or(|magic| magic == SYSFS_MAGIC);
    if nothing_there || !controllers.is_empty() {
        return elsewhere(&roots.procfs).map_or(controllers, |hierarchy| vec![hierarchy]);
    }
    vec![Hierarchy { root: cgroupfs.clone(), printed, kind: Kind::Plain }]
}

/// The hierarchies of v1 controllers, by name. Links such as `cpu -> cpu,cpuacct` lead to one that is there anyway.
fn controllers(cgroupfs: &Path, printed: &str) -> Vec<Hierarchy> {
    if magic(cgroupfs) == Some(CGROUP_SUPER_MAGIC) {
        let (root, printed) = (cgroupfs.to_path_buf(), printed.to_owned());
        return vec![Hierarchy { root, printed, kind: Kind::Controller }];
    }
    let mut names: Vec<_> = std::fs::read_dir(cgroupfs)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter(|entry| magic(&entry.path()) == Some(CGROUP_SUPER_MAGIC))
        .map(|entry| entry.file_name())
        .take(MOST_HIERARCHIES)
        .collect();
    names.sort_unstable();
    let hierarchy = |name: std::ffi::OsString| Hierarchy {
        root: cgroupfs.join(&name),
        printed: format!("{printed}/{}", name.to_string_lossy()),
        kind: Kind::Controller,
    };
    names.into_iter().map(hierarchy).collect()
}

/// cgroup v2 mounted at a place of its own, as some network plugins do on v1 hosts.
fn elsewhere(procfs: &Path) -> Option<Hierarchy> {
    let bytes = read_at_most(&procfs.join("self/mountinfo"), 16 << 20).ok()?;
    let root = cgroup2_mounts(&String::from_utf8_lossy(&bytes))
        .into_iter()
        .find(|root| magic(root) == Some(CGROUP2_SUPER_MAGIC))?;
    Some(Hierarchy { printed: root.to_string_lossy().into_owned(), root, kind: Kind::Unified })
}

/// Where cgroup v2 is mounted according to a mountinfo; mounts of the whole tree first.
fn cgroup2_mounts(mountinfo: &str) -> Vec<PathBuf> {
    let mut mounts: Vec<(bool, PathBuf)> = mountinfo
        .lines()
        .filter_map(|line| {
            let (mount, file_system) = line.split_once(" - ")?;
            if file_system.split(' ').next() != Some("cgroup2") {
                return None;
            }
            let mut fields = mount.split(' ').skip(3);
            let (root, point) = (fields.next()?, fields.next()?);
            Some((root != "/", unescape(point)))
        })
        .collect();
    mounts.sort_by_key(|&(part, _)| part);
    mounts.into_iter().map(|(_, point)| point).collect()
}

/// Mount points are written with spaces, tabs, line feeds and backslashes as `\ooo`.
fn unescape(text: &str) -> PathBuf {
    let mut parts = text.split('\\');
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                result.push(char::from(code));
                result.push_str(part.get(3..).unwrap_or_default());
            }
            None => {
                result.push('\\');
                result.push_str(part);
            }
        }
    }
    result.into()
}

/// What the root is called on the host: `/host/sys/fs/cgroup/unified` is its `/sys/fs/cgroup/unified`.
fn canonical(cgroupfs: &Path) -> String {
    let text = cgroupfs.to_string_lossy();
    let text = text.trim_end_matches('/');
    let below = text.rfind(CANONICAL).and_then(|at| text.get(at..));
    let whole = |below: &&str| below.len() == CANONICAL.len() || below[CANONICAL.len()..].starts_with('/');
    below.filter(whole).unwrap_or(CANONICAL).to_owned()
}

/// What kind of file system there is.
fn magic(path: &Path) -> Option<i128> {
    // The type of the field differs between architectures.
    statfs(path).ok().map(|found| i128::from(found.f_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_canonical(cgroupfs: &str, expected: &str) {
        assert_eq!(canonical(Path::new(cgroupfs)), expected, "{cgroupfs}");
    }

    #[test]
    fn printed_roots() {
        check_canonical("/sys/fs/cgroup", "/sys/fs/cgroup");
        check_canonical("/sys/fs/cgroup/", "/sys/fs/cgroup");
        check_canonical("/host/sys/fs/cgroup", "/sys/fs/cgroup");
        check_canonical("/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified");
        check_canonical("/host/sys/fs/cgroup/unified/", "/sys/fs/cgroup/unified");
        check_canonical("/host/cgroup", "/sys/fs/cgroup");
        check_canonical("/host/sys/fs/cgroups", "/sys/fs/cgroup");
        check_canonical("", "/sys/fs/cgroup");
    }

    #[track_caller]
    fn check_mounts(mountinfo: &str, expected: &[&str]) {
        let expected: Vec<_> = expected.iter().map(PathBuf::from).collect();
        assert_eq!(cgroup2_mounts(mountinfo), expected);
    }

    #[test]
    fn mounts_of_cgroup2() {
        check_mounts("", &[]);
        check_mounts("25 1 0:22 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", &[]);
        check_mounts(
            "30 23 0:26 /../.. /part rw - cgroup2 cgroup2 rw\n31 23 0:26 / /mnt/a\\040b\\134c rw shared:9 - cgroup2 none rw\n\
             32 23 0:26 / /run/cgroup2 rw,nosuid master:1 propagate_from:2 - cgroup2 cgroup2 rw",
            &["/mnt/a b\\c", "/run/cgroup2", "/part"],
        );
        check_mounts("x - cgroup2\n - cgroup2 x\n1 2 3 4 - cgroup2 x\n", &[]);
    }

    #[test]
    fn escapes_that_are_none() {
        assert_eq!(unescape("a\\"), Path::new("a\\"));
        assert_eq!(unescape("a\\999b\\1"), Path::new("a\\999b\\1"));
        assert_eq!(unescape("\\777é\\é"), Path::new("\\777é\\é"));
    }

    #[test]
    fn a_plain_folder_is_what_the_user_says_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots { cgroupfs: folder.path().into(), ..Roots::default() };
        let printed = "/sys/fs/cgroup".to_owned();
        let expected = Hierarchy { root: folder.path().into(), printed, kind: Kind::Plain };
        assert_eq!(find(&roots), [expected]);
    }
}
