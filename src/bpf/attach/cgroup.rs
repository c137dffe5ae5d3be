//! Programs of control groups, such as `SEC("cgroup_skb/egress")`: the config says which group.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use libbpf_rs::ProgramMut;

use crate::bpf::explain::errno_of;
use crate::host::Host;

use super::{AttachError, Attached, refused};

/// Attaches to a group by its path below the root of cgroup2, beside whatever others attached there.
pub(super) fn attach(program: &ProgramMut<'_>, path: &str, host: &Host) -> Result<Attached, AttachError> {
    let root = host.cgroup_root().ok_or(AttachError::NoCgroups)?;
    let group = open(&root, path)?;
    match program.attach_cgroup(group.as_raw_fd()) {
        Ok(link) => Ok(Attached::Links(vec![link])),
        Err(error) => Err(refused(errno_of(&error))),
    }
}

fn open(root: &Path, path: &str) -> Result<File, AttachError> {
    let group = root.join(path.trim_start_matches('/'));
    File::open(&group).map_err(|error| AttachError::NoCgroup { path: group, error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_below_the_root() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("system.slice/ssh.service")).unwrap();
        for path in ["/", "/system.slice", "/system.slice/ssh.service/", "//system.slice"] {
            assert!(open(root.path(), path).is_ok(), "{path}");
        }
        let Err(AttachError::NoCgroup { path, .. }) = open(root.path(), "/user.slice") else { panic!() };
        assert_eq!(path, root.path().join("user.slice"));
    }
}
