//! Maps of an object that are pinned: those that are there are held against what the object defines, and those that
//! are made for a load which comes to nothing are taken away again.
//!
//! libbpf makes and reuses pins. It compares sizes alone, and says only that something does not fit.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use libbpf_rs::OpenObject;

use crate::problem::{Place, Problem};
use crate::spec::{Difference, LoadSpec};

use super::object::MapNames;
use super::{pins, raw};

/// `BPF_FS_MAGIC`
const BPF_FS: u64 = 0xcafe_4a11;

/// Pins that a load makes. They go with it, unless it is kept.
#[derive(Debug, Default)]
pub(super) struct NewPins(Vec<PathBuf>);

impl NewPins {
    /// The load came to something: its pins stay.
    pub(super) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for NewPins {
    fn drop(&mut self) {
        for path in self.0.drain(..) {
            // It may not have come to that.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Looks at the pins that an object is about to use; those that it will make.
///
/// # Errors
/// All that is in the way.
pub(super) fn look(
    object: &mut OpenObject,
    names: &MapNames,
    spec: &LoadSpec,
) -> Result<NewPins, Vec<Problem>> {
    let (mut new, mut problems) = (NewPins::default(), Vec::new());
    for map in object.maps_mut() {
        let Some(path) = raw::pin_path(&map) else { continue };
        let name = names.name(&map).to_owned();
        match raw::open_pinned_map(&path, false) {
            Ok(there) => problems.extend(unfit(spec, &name, &path, there.as_fd())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => match make_room(&path) {
                Ok(()) => new.0.push(path),
                Err(error) => problems.push(no_room(spec, &name, &path, &error)),
            },
            Err(error) => problems.push(unopened(spec, &name, &path, &error)),
        }
    }
    if problems.is_empty() { Ok(new) } else { Err(problems) }
}

/// Makes the folders above a pin.
pub(super) fn make_room(path: &Path) -> io::Result<()> {
    let parent = path.parent().unwrap_or(path);
    let there = parent.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(parent);
    let file_system = rustix::fs::statfs(there)?;
    if file_system.f_type as u64 != BPF_FS {
        return Err(io::Error::other(format!("{} is on another kind of file system", there.display())));
    }
    std::fs::create_dir_all(parent)
}

/// In what a map that is there is not the one that an object defines.
fn unfit(spec: &LoadSpec, name: &str, path: &Path, there: BorrowedFd<'_>) -> Vec<Problem> {
    let problem = |difference: Difference| {
        let message = format!(
            "the map that is pinned at {} is not `{name}`: it differs in {}",
            path.display(),
            difference.what
        );
        Problem::error("pin-layout", place(spec, name), message)
            .expected(difference.expected)
            .found(difference.found)
            .help(format!(
                "remove the pin (rm {}), which ends what it has counted, or give the map another `pin_path`",
                path.display()
            ))
    };
    differences(spec, name, there).into_iter().map(problem).collect()
}

/// In what a map in the kernel is not the one that an object defines.
pub(super) fn differences(spec: &LoadSpec, name: &str, there: BorrowedFd<'_>) -> Vec<Difference> {
    let Some(wanted) = spec.definition(name) else { return Vec::new() };
    match raw::describe_map(there) {
        Ok(facts) => wanted.differences(&pins::definition(name, &facts)),
        Err(error) => vec![Difference {
            what: "map".to_owned(),
            expected: "one that tells what it is".to_owned(),
            found: error.to_string(),
        }],
    }
}

fn place(spec: &LoadSpec, name: &str) -> Place {
    let is_written = spec.setting(name).is_some_and(|setting| setting.pin_path.is_some());
    Place {
        config: Some(spec.name.clone()),
        path: if is_written { format!("maps.{name}.pin_path") } else { String::new() },
        map: Some(name.to_owned()),
        ..Place::default()
    }
}

fn no_room(spec: &LoadSpec, name: &str, path: &Path, error: &io::Error) -> Problem {
    let message = format!("`{name}` cannot be pinned at {}", path.display());
    Problem::error("pin-place", place(spec, name), message)
        .expected("a path below a BPF file system, in which the exporter can write")
        .found(error.to_string())
        .help("mount one: mount -t bpf bpf /sys/fs/bpf")
}

fn unopened(spec: &LoadSpec, name: &str, path: &Path, error: &io::Error) -> Problem {
    let message = format!("what is pinned at {} cannot be used for `{name}`", path.display());
    // The kernel says of a folder that permission is denied.
    let found = if path.is_dir() { "a folder".to_owned() } else { error.to_string() };
    Problem::error("pin-place", place(spec, name), message)
        .expected("a map below a BPF file system, or nothing")
        .found(found)
        .help("name another path, or remove what is there; a BPF file system is mounted by `mount -t bpf bpf /sys/fs/bpf`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_room_but_below_a_bpf_file_system() {
        let folder = tempfile::tempdir().unwrap();
        let error = make_room(&folder.path().join("deep/er/flows")).unwrap_err();
        assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
        assert!(!folder.path().join("deep").exists());
    }

    #[test]
    fn new_pins_go_unless_they_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flows");
        std::fs::write(&path, "").unwrap();
        NewPins(vec![path.clone()]).keep();
        assert!(path.exists());
        drop(NewPins(vec![path.clone(), folder.path().join("never")]));
        assert!(!path.exists());
    }
}
