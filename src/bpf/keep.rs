//! Programs and maps that stay at work while the exporter is away (`--bpf.pin-path`).
//!
//! Below the folder each config has one of its own, and in it one for what is loaded, whose name tells what it was
//! loaded by: `<config>/<fingerprint>_<number>/`, with a file for each map (`m_<name>`) and for each link
//! (`l_<program>_<place>`). A BPF file system has no other files, but symbolic links, whose targets need not be there: such
//! notes tell of filters (`f_<program>_<place>`), and what the events of ring buffers are (`b_<name>`). Names have no dots
//! there, which the kernel keeps for itself.
//!
//! Whoever starts with the same object takes the maps over and leaves the links alone: the programs that are at work
//! go on, and those of the object that is loaded beside them stand by for places that come later. From another object's
//! links the new one takes over as on a reload.

use std::fmt::Write;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::elf::MapKind;
use crate::problem::{Place, Problem};
use crate::spec::{LoadSpec, MapDefinition};

use super::attach::{Attached, Filter, Target};
use super::object::LoadedObject;
use super::{globals, operations, pinning, raw};

/// How the names of files of links begin, and those of notes of filters.
const LINK: &str = "l_";
const NOTE: &str = "f_";

/// How those of maps begin, and notes of what is written to ring buffers.
const MAP: &str = "m_";
const BUFFER: &str = "b_";

/// What keeps a loaded config over restarts.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) keep: Arc<Keep>,
    pub(super) folder: Arc<Folder>,
    /// The files of its maps.
    _maps: Vec<Pin>,
    /// Programs that have to be attached anew by each start, and why.
    pub(super) not_kept: Vec<(String, String)>,
}

/// The folder of `--bpf.pin-path`, which nobody else uses meanwhile.
#[derive(Debug)]
pub struct Keep {
    pub(super) root: PathBuf,
    /// Its lock goes with it.
    _lock: std::fs::File,
}

/// The folder of what is loaded of a config. It goes when it is empty.
#[derive(Debug)]
pub(super) struct Folder {
    path: Mutex<PathBuf>,
    /// Whether its files stay when nobody holds them any more.
    stays: AtomicBool,
}

/// A file in a folder; it goes when it is dropped.
#[derive(Debug)]
pub(super) struct Pin {
    folder: Arc<Folder>,
    name: String,
}

impl Keep {
    /// Makes the folder and takes it.
    ///
    /// # Errors
    /// When it is not below a BPF file system, or another exporter has it.
    pub fn open(root: &Path) -> Result<Self, Box<Problem>> {
        let refuse_with = |found: io::Error, help: &str| {
            let message = format!("{} cannot keep programs and maps", root.display());
            Box::new(
                Problem::error("pin-path", Place::default(), message).found(found.to_string()).help(help),
            )
        };
        let mount = "it has to be below a BPF file system: mount -t bpf bpf /sys/fs/bpf";
        let write = "the exporter has to be able to write there";
        let refuse = |error: io::Error| match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => refuse_with(error, write),
            _ => refuse_with(error, mount),
        };
        pinning::make_room(&root.join("any")).map_err(refuse)?;
        let lock = std::fs::File::open(root).map_err(refuse)?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|error| {
            refuse_with(error.into(), "another exporter has it: give each a --bpf.pin-path of its own")
        })?;
        Ok(Self { root: root.to_owned(), _lock: lock })
    }

    /// The folders of a config, and whether each is of what the same spec loaded; those come first.
    pub(super) fn folders(&self, spec: &LoadSpec) -> Vec<(Arc<Folder>, bool)> {
        let own = fingerprint(spec);
        let is_own = |path: &PathBuf| is_of(path, &own);
        let folders = entries(&self.root.join(escaped(&spec.name)));
        let mut folders: Vec<_> = folders.into_iter().map(|path| (is_own(&path), path)).collect();
        folders.sort_by_key(|(is_own, _)| !is_own);
        folders.into_iter().map(|(is_own, path)| (Folder::at(path), is_own)).collect()
    }

    /// A new folder for what is loaded of a config.
    pub(super) fn folder(&self, spec: &LoadSpec) -> io::Result<Arc<Folder>> {
        let path = self.new_path(spec);
        std::fs::create_dir_all(&path)?;
        Ok(Folder::at(path))
    }

    /// Has a folder tell that what is loaded is by another spec now, or of a config of another name.
    pub(super) fn rename(&self, folder: &Folder, spec: &LoadSpec) -> io::Result<()> {
        let mut path = folder.path.lock().unwrap_or_else(PoisonError::into_inner);
        let to = self.new_path(spec);
        to.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::rename(&*path, &to)?;
        let from = std::mem::replace(&mut *path, to);
        // Of another name nothing is left then.
        let _ = from.parent().map(std::fs::remove_dir);
        Ok(())
    }

    fn new_path(&self, spec: &LoadSpec) -> PathBuf {
        let (config, fingerprint) = (self.root.join(escaped(&spec.name)), fingerprint(spec));
        let path = |number: u32| config.join(format!("{fingerprint}_{number}"));
        (0..u32::MAX).map(path).find(|path| !path.exists()).unwrap_or_else(|| path(u32::MAX))
    }
}

impl Kept {
    /// Makes the folder for what is about to be attached, with its maps; none where that fails, which is told.
    pub(super) fn begin(keep: &Arc<Keep>, object: &LoadedObject, spec: &LoadSpec) -> Option<Self> {
        match keep.folder(spec) {
            Ok(folder) => {
                let maps = folder.pin_maps(object, spec);
                let mut kept = Self { keep: Arc::clone(keep), folder, _maps: maps, not_kept: Vec::new() };
                for program in object.progs().filter(operations::has) {
                    kept.tell(&program.name().to_string_lossy(), "it is a part of operations".to_owned());
                }
                Some(kept)
            }
            Err(error) => {
                tracing::warn!(config = spec.name, %error, "nothing of it outlives the exporter");
                None
            }
        }
    }

    /// Makes a file of what was attached, where it can be.
    pub(super) fn pin(&mut self, link: Attached, program: &str, place: &Target) -> Attached {
        let pinned = self.folder.pin_link(link, program, place);
        self.note(pinned, program)
    }

    /// Brings what was attached before here.
    pub(super) fn bring(&mut self, link: Attached, program: &str, place: &Target) -> Attached {
        let pinned = self.folder.bring(link, program, place);
        self.note(pinned, program)
    }

    fn note(&mut self, (link, why): (Attached, Option<String>), program: &str) -> Attached {
        if let Some(why) = why {
            self.tell(program, why);
        }
        link
    }

    /// Tells of a program that it is not kept.
    pub(super) fn tell(&mut self, program: &str, why: String) {
        if self.not_kept.iter().all(|(known, _)| known != program) {
            tracing::info!(program, why, "it is attached anew by each start");
            self.not_kept.push((program.to_owned(), why));
        }
    }
}

impl Folder {
    pub(super) fn at(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path: Mutex::new(path), stays: AtomicBool::new(false) })
    }

    /// From now on its files stay.
    pub(super) fn stay(&self) {
        self.stays.store(true, Ordering::Relaxed);
    }

    pub(super) fn path(&self) -> PathBuf {
        self.path.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a file of what is behind a descriptor.
    fn pin(self: &Arc<Self>, descriptor: BorrowedFd<'_>, name: String) -> io::Result<Pin> {
        raw::pin(descriptor, &self.path().join(&name))?;
        Ok(Pin { folder: Arc::clone(self), name })
    }

    /// Makes files of all maps of an object; those that cannot be are told.
    pub(super) fn pin_maps(self: &Arc<Self>, object: &LoadedObject, spec: &LoadSpec) -> Vec<Pin> {
        let pin = |(name, map): (String, libbpf_rs::Map<'_>)| match self.pin(map.as_fd(), map_name(&name)) {
            Ok(pin) => Some(pin),
            Err(error) => {
                tracing::warn!(config = spec.name, map = name, %error, "the map does not outlive the exporter");
                None
            }
        };
        let notes = object.maps().filter_map(|(name, _)| {
            let text = events_of(spec, &name)?;
            let pin = Pin::of(self, buffer_name(&name));
            std::os::unix::fs::symlink(text, self.path().join(&pin.name)).ok()?;
            Some(pin)
        });
        object.maps().filter_map(pin).chain(notes).collect()
    }

    /// What the events of a ring buffer in it are, comparable with [`events_of`].
    pub(super) fn events_of(&self, map: &str) -> Option<String> {
        let note = std::fs::read_link(self.path().join(buffer_name(map))).ok()?;
        note.to_str().map(str::to_owned)
    }

    /// Makes a file of a link, if it is one; else it comes back, with why not.
    pub(super) fn pin_link(
        self: &Arc<Self>,
        mut link: Attached,
        program: &str,
        place: &Target,
    ) -> (Attached, Option<String>) {
        if let Attached::Filter(filter) = &mut link
            && filter.note().is_none_or(|note| !Arc::ptr_eq(&note.folder, self))
        {
            let note = self.note(filter, program, place);
            filter.set_note(note);
        }
        let Some(descriptor) = link.link_fd() else {
            return (link, Some("what holds it is no link that the kernel can keep".to_owned()));
        };
        match self.pin(descriptor, link_name(program, place)) {
            Ok(pin) => (Attached::Pinned { link: Box::new(link), pin }, None),
            Err(error) => (link, Some(error.to_string())),
        }
    }

    /// Writes down where a filter is, which nobody takes off if the exporter crashes. A BPF file system has no files
    /// for that, but links to files that need not be there.
    fn note(self: &Arc<Self>, filter: &Filter, program: &str, place: &Target) -> Option<Pin> {
        let (name, text) = (note_name(program, place), filter.text()?);
        let written = std::os::unix::fs::symlink(text, self.path().join(&name));
        let refused = |error| tracing::warn!(program, %place, %error, "after a crash the filter stays");
        written.map_err(refused).ok()?;
        Some(Pin::of(self, name))
    }

    /// Brings a link from another folder here.
    pub(super) fn bring(
        self: &Arc<Self>,
        link: Attached,
        program: &str,
        place: &Target,
    ) -> (Attached, Option<String>) {
        match link {
            // Its old file is removed when it has the new one.
            Attached::Pinned { link, pin } if !Arc::ptr_eq(&pin.folder, self) => {
                let here = self.pin_link(*link, program, place);
                drop(pin);
                here
            }
            Attached::Pinned { .. } => (link, None),
            other => self.pin_link(other, program, place),
        }
    }
}

impl Pin {
    /// That of a file that is there.
    pub(super) fn of(folder: &Arc<Folder>, name: String) -> Self {
        Self { folder: Arc::clone(folder), name }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let path = self.path();
        // It holds what stays, or it is the one of a config that goes.
        if std::fs::remove_dir(&path).is_ok() {
            let _ = path.parent().map(std::fs::remove_dir);
        }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        if !self.folder.stays.load(Ordering::Relaxed) {
            let _ = std::fs::remove_file(self.folder.path().join(&self.name));
        }
    }
}

/// Tells what is loaded by one spec from what is loaded by another.
pub(super) fn fingerprint(spec: &LoadSpec) -> String {
    let LoadSpec { object_bytes, kaddrs, globals, kernel_options, programs, choices, maps, buffers, .. } =
        spec;
    let mut digest = Sha256::new();
    digest.update(object_bytes);
    digest.update(format!(
        "{kaddrs:?} {globals:?} {kernel_options:?} {programs:?} {choices:?} {maps:?} {buffers:?}"
    ));
    hexadecimal(&digest.finalize())
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().take(16).fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether a folder is one of what was loaded by the spec with this fingerprint.
pub(super) fn is_of(folder: &Path, fingerprint: &str) -> bool {
    folder.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(fingerprint))
}

/// The file of a map. libbpf puts the config's name before the names of sections, which it may lose.
pub(super) fn map_name(map: &str) -> String {
    format!("{MAP}{}", escaped(globals::section_of_map(map).unwrap_or(map)))
}

fn buffer_name(map: &str) -> String {
    format!("{BUFFER}{}", escaped(map))
}

/// What the events of a ring buffer are; none of another map, and of one whose events are like no others.
pub(super) fn events_of(spec: &LoadSpec, map: &str) -> Option<String> {
    let is_it = |known: &&MapDefinition| known.name == map && known.kind == MapKind::RINGBUF.0;
    let definition = spec.carried.iter().find(is_it)?;
    Some(hexadecimal(&Sha256::digest(format!("{definition:?}"))))
}

pub(super) fn link_name(program: &str, place: &Target) -> String {
    format!("{LINK}{}_{}", escaped(program), digest(place))
}

/// A name without dots and slashes; other names become other ones.
pub(super) fn escaped(name: &str) -> String {
    name.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "+{byte:02x}");
            }
        }
        text
    })
}

fn digest(place: &Target) -> String {
    hexadecimal(&Sha256::digest(place.key()))
}

pub(super) fn note_name(program: &str, place: &Target) -> String {
    format!("{NOTE}{}_{}", escaped(program), digest(place))
}

/// Whether a file is a note of a filter.
pub(super) fn is_note(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(NOTE))
}

/// Whether a file is one of a link.
pub(super) fn is_link(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(LINK))
}

/// Whether a file is one of a map.
pub(super) fn is_map(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(MAP))
}

pub(super) fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort_unstable();
    paths
}

/// Removes a folder with its files.
pub(super) fn remove(folder: &Path) {
    for path in entries(folder) {
        let _ = std::fs::remove_file(path);
    }
    let _ = std::fs::remove_dir(folder);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_and_have_no_dots() {
        for (name, expected) in
            [("tcp", "tcp"), ("net/tcp", "net+2ftcp"), ("a.b", "a+2eb"), ("a+2eb", "a+2b2eb")]
        {
            assert_eq!(escaped(name), expected);
        }
    }

    /// A config that was renamed finds its sections again.
    #[test]
    fn maps_of_sections_are_named_by_them_alone() {
        for (name, expected) in [
            ("flows", "m_flows"),
            ("tcp.bss", "m_+2ebss"),
            ("b.rodata", "m_+2erodata"),
            (".data.own", "m_+2edata+2eown"),
        ] {
            assert_eq!(map_name(name), expected);
        }
    }

    #[test]
    fn what_changes_the_load_changes_the_fingerprint() {
        let spec = LoadSpec { name: "a".into(), object_bytes: Arc::from(*b"object"), ..LoadSpec::default() };
        let same = LoadSpec { name: "b".into(), object: "/elsewhere".into(), ..spec.clone() };
        assert_eq!(fingerprint(&spec), fingerprint(&same));
        let other = LoadSpec { object_bytes: Arc::from(*b"objects"), ..spec.clone() };
        assert_ne!(fingerprint(&spec), fingerprint(&other));
        let set = LoadSpec { kaddrs: vec!["jiffies".into()], ..spec.clone() };
        assert_ne!(fingerprint(&spec), fingerprint(&set));
    }
}
