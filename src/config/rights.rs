//! Who may change a file that is loaded into the kernel.
//!
//! Whoever can write an object runs code in the kernel once it is followed. So a file that others can
//! change is not followed, and said at the start. A folder counts where a file in it could be replaced:
//! not when it is mounted read-only, as Kubernetes mounts its volumes, and not when it is sticky, where
//! only the owner of a file can replace it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};

use crate::problem::{Place, Problem, Severity};

/// What becomes of files that others can change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Insecure {
    /// They are as good as others (`--config.allow-insecure-permissions`).
    #[default]
    Allowed,
    /// They are read, with a warning: what was there when the exporter was started was meant to be.
    Warned,
    /// They are not followed.
    Refused,
}

/// Bits of a mode.
const WRITABLE_BY_OTHERS: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Why others can change a file that was opened; none when they cannot.
pub(super) fn weakness(path: &Path, file: &Metadata) -> Option<String> {
    if let Some(why) = of(file, "") {
        return Some(why);
    }
    // Both the folder where its name stands and the one where the file is, when the name is a symbolic link.
    let folder = |path: &Path| {
        path.parent()
            .map(|parent| if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() })
    };
    let mut folders: Vec<PathBuf> = folder(path).into_iter().collect();
    folders.extend(std::fs::canonicalize(path).ok().as_deref().and_then(folder));
    folders.iter().find_map(|folder| {
        let metadata = std::fs::metadata(folder).ok()?;
        if metadata.mode() & STICKY != 0 || is_read_only(folder) {
            return None;
        }
        of(&metadata, &format!("its folder {} ", folder.display()))
    })
}

fn is_read_only(folder: &Path) -> bool {
    statvfs(folder).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::RDONLY))
}

fn of(metadata: &Metadata, what: &str) -> Option<String> {
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    judge(owner, mode, rustix::process::geteuid().as_raw()).map(|why| format!("{what}{why}"))
}

/// Why a file with this owner and mode can be changed by others than root and the exporter's user.
fn judge(owner: u32, mode: u32, own: u32) -> Option<String> {
    if owner != 0 && owner != own {
        return Some(format!("belongs to the user {owner}"));
    }
    if mode & WRITABLE_BY_OTHERS != 0 {
        return Some(format!("can be written by its group or by everybody (mode {mode:04o})"));
    }
    None
}

/// What is said of a weak file.
pub(super) fn problem(insecure: Insecure, place: Place, weakness: &str) -> Option<Problem> {
    let severity = match insecure {
        Insecure::Allowed => return None,
        Insecure::Warned => Severity::Warning,
        Insecure::Refused => Severity::Error,
    };
    let message = match severity {
        Severity::Error => "others can change the file, so it is not followed",
        _ => "others can change the file: its changes will not be followed",
    };
    let mut problem = Problem::error("insecure-permissions", place, message);
    problem.severity = severity;
    Some(
        problem
            .expected("a file of root or of the exporter's user that nobody else can write, in such a folder")
            .found(weakness.to_owned())
            .help("chown root and chmod go-w what is named; or --config.allow-insecure-permissions"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(owner: u32, mode: u32, expected: Option<&str>) {
        assert_eq!(judge(owner, mode, 7).as_deref(), expected, "{owner} {mode:o}");
    }

    #[test]
    fn root_and_the_own_user_are_trusted_alone() {
        check(0, 0o644, None);
        check(0, 0o600, None);
        check(7, 0o755, None);
        check(8, 0o644, Some("belongs to the user 8"));
        check(0, 0o664, Some("can be written by its group or by everybody (mode 0664)"));
        check(7, 0o646, Some("can be written by its group or by everybody (mode 0646)"));
        check(0, 0o2755, None);
    }

    #[test]
    fn a_folder_counts_unless_it_is_sticky() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.yaml");
        std::fs::write(&path, "").unwrap();
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap()
        };
        let found = || weakness(&path, &std::fs::metadata(&path).unwrap());
        set(&path, 0o644);
        assert_eq!(found(), None);
        set(folder.path(), 0o777);
        assert!(found().is_some_and(|why| why.contains("its folder ")), "{:?}", found());
        set(folder.path(), 0o1777);
        assert_eq!(found(), None);
        set(&path, 0o666);
        assert!(found().is_some());
    }
}
