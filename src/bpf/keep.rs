//! Programs and maps that stay at work while the exporter is away (`--bpf.pin-path`).
//!
//! Below the folder each config has one of its own, and in it one for what is loaded, whose name tells what it was
//! loaded by: `<config>/<fingerprint>_<number>/`, with a file for each map (`m_<name>`) and for each link
//! (`l_<program>_<place>`). Names have no dots there, which the kernel keeps for itself.
//!
//! Whoever starts with the same object takes the maps over and leaves the links alone: the programs that are at work
//! go on, and those of the object that is loaded beside them stand by for places that come later. From another object's
//! links the new one takes over as on a reload.

use std::collections::HashSet;
use std::fmt::Write;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use libbpf_rs::OpenObject;
use sha2::{Digest, Sha256};

use crate::elf::MapKind;
use crate::problem::{Place, Problem};
use crate::spec::LoadSpec;

use super::attach::{Attached, Target};
use super::object::{LoadedObject, MapNames};
use super::{pinning, raw};

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
    root: PathBuf,
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

/// What an exporter before this one has left of a config.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Folders, that of the same fingerprint first.
    folders: Vec<Arc<Folder>>,
    /// Whether the first one has all that is needed to go on as if nothing had happened.
    is_same: bool,
}

impl Keep {
    /// Makes the folder and takes it.
    ///
    /// # Errors
    /// When it is not below a BPF file system, or another exporter has it.
    pub fn open(root: &Path) -> Result<Self, Box<Problem>> {
        let refuse = |found: io::Error, help: &str| {
            let message = format!("{} cannot keep programs and maps", root.display());
            Box::new(
                Problem::error("pin-path", Place::default(), message).found(found.to_string()).help(help),
            )
        };
        let mount = "it has to be below a BPF file system: mount -t bpf bpf /sys/fs/bpf";
        let room = pinning::make_room(&root.join("any"));
        room.map_err(|error| refuse(error, mount))?;
        let lock = std::fs::File::open(root).map_err(|error| refuse(error, mount))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|error| {
            refuse(error.into(), "another exporter has it: give each a --bpf.pin-path of its own")
        })?;
        Ok(Self { root: root.to_owned(), _lock: lock })
    }

    /// Removes what is kept of configs that are not there any more.
    pub fn sweep(&self, configs: &[String]) {
        let known: HashSet<String> = configs.iter().map(|name| escaped(name)).collect();
        for path in entries(&self.root) {
            let is_known =
                path.file_name().and_then(|name| name.to_str()).is_some_and(|name| known.contains(name));
            if !is_known {
                let path_text = path.display().to_string();
                tracing::info!(path = path_text, "removed: there is no such config any more");
                entries(&path).iter().for_each(|folder| remove(folder));
                remove(&path);
            }
        }
    }

    /// What was left of a config.
    pub(super) fn left(&self, spec: &LoadSpec) -> Left {
        let mut folders = entries(&self.root.join(escaped(&spec.name)));
        let own = fingerprint(spec);
        let is_own = |path: &PathBuf| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(&own))
        };
        folders.sort_by_key(|path| !is_own(path));
        let is_same = folders.first().is_some_and(is_own);
        Left { folders: folders.into_iter().map(Folder::at).collect(), is_same }
    }

    /// A new folder for what is loaded of a config.
    pub(super) fn folder(&self, spec: &LoadSpec) -> io::Result<Arc<Folder>> {
        let path = self.new_path(spec);
        std::fs::create_dir_all(&path)?;
        Ok(Folder::at(path))
    }

    /// Has a folder tell that what is loaded is by another spec now.
    pub(super) fn rename(&self, folder: &Folder, spec: &LoadSpec) -> io::Result<()> {
        let mut path = folder.path.lock().unwrap_or_else(PoisonError::into_inner);
        let to = self.new_path(spec);
        std::fs::rename(&*path, &to)?;
        *path = to;
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
                Some(Self { keep: Arc::clone(keep), folder, _maps: maps, not_kept: Vec::new() })
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
        if let Some(why) = why
            && !self.not_kept.iter().any(|(known, _)| known == program)
        {
            tracing::info!(program, why, "it is attached anew by each start");
            self.not_kept.push((program.to_owned(), why));
        }
        link
    }
}

impl Folder {
    fn at(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path: Mutex::new(path), stays: AtomicBool::new(false) })
    }

    /// From now on its files stay.
    pub(super) fn stay(&self) {
        self.stays.store(true, Ordering::Relaxed);
    }

    fn path(&self) -> PathBuf {
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
        object.maps().filter_map(pin).collect()
    }

    /// Makes a file of a link, if it is one; else it comes back, with why not.
    pub(super) fn pin_link(
        self: &Arc<Self>,
        link: Attached,
        program: &str,
        place: &Target,
    ) -> (Attached, Option<String>) {
        let Some(descriptor) = link.link_fd() else {
            return (link, Some("what holds it is no link that the kernel can keep".to_owned()));
        };
        match self.pin(descriptor, link_name(program, place)) {
            Ok(pin) => (Attached::Pinned { link: Box::new(link), pin }, None),
            Err(error) => (link, Some(error.to_string())),
        }
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
            other => (other, None),
        }
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

impl Left {
    /// Has an object use the maps that were left: all of them, or those that both define alike.
    pub(super) fn take_maps(&mut self, object: &mut OpenObject, names: &MapNames, spec: &LoadSpec) {
        let Some(folder) = self.folders.first().map(|folder| folder.path()) else { return };
        let is_own = |name: &str| {
            spec.setting(name).is_some_and(|setting| setting.pin_path.is_some() || setting.shared.is_some())
        };
        let mut found = Vec::new();
        for map in object.maps_mut() {
            let name = names.name(&map).to_owned();
            if raw::pin_path(&map).is_some() {
                continue;
            }
            let there = raw::open_pinned_map(&folder.join(map_name(&name)), false);
            self.is_same &= there.is_ok() || is_own(&name);
            found.extend(there.ok().map(|there| (name, there)));
        }
        for mut map in object.maps_mut() {
            let name = names.name(&map);
            let Some((_, there)) = found.iter().find(|(found, _)| found == name) else { continue };
            if !self.is_same && !fits(spec, name, there.as_fd()) {
                continue;
            }
            if let Err(error) = map.reuse_fd(there.as_fd()) {
                tracing::warn!(config = spec.name, map = name, %error, "the map begins anew");
                self.is_same = false;
            }
        }
    }

    /// Whether what is loaded is what was left.
    pub(super) fn is_same(&self) -> bool {
        self.is_same
    }

    /// The link of a program at a place, with its file.
    pub(super) fn take_link(&self, program: &str, place: &Target) -> Option<Attached> {
        let name = link_name(program, place);
        let folder = self.folders.iter().find(|folder| folder.path().join(&name).exists())?;
        let link = Attached::taken_over(raw::open_pin(&folder.path().join(&name), false).ok()?);
        Some(Attached::Pinned { link: Box::new(link), pin: Pin { folder: Arc::clone(folder), name } })
    }

    /// All that was left is as it was: what is held of it lets go of it and removes nothing.
    pub(super) fn stay(&self) {
        self.folders.iter().for_each(|folder| folder.stay());
    }

    /// Removes all that was left, when what is needed of it is held elsewhere.
    pub(super) fn remove(self) {
        self.folders.iter().for_each(|folder| remove(&folder.path()));
    }
}

/// Whether a map of another object is what this one defines, so that it may go on with it.
fn fits(spec: &LoadSpec, name: &str, there: BorrowedFd<'_>) -> bool {
    let is_portable = spec.carried.iter().any(|map| map.name == name && map.kind != MapKind::RINGBUF.0);
    let is_other = |difference: &crate::spec::Difference| {
        // Large arrays are made mappable by the load itself.
        difference.what != "map_flags" || difference.found != libbpf_sys::BPF_F_MMAPABLE.to_string()
    };
    is_portable && !pinning::differences(spec, name, there).iter().any(is_other)
}

/// Tells what is loaded by one spec from what is loaded by another.
fn fingerprint(spec: &LoadSpec) -> String {
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

fn map_name(map: &str) -> String {
    format!("m_{}", escaped(map))
}

fn link_name(program: &str, place: &Target) -> String {
    let place = hexadecimal(&Sha256::digest(format!("{place:?}")));
    format!("l_{}_{place}", escaped(program))
}

/// A name without dots and slashes; other names become other ones.
fn escaped(name: &str) -> String {
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

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort_unstable();
    paths
}

/// Removes a folder with its files.
fn remove(folder: &Path) {
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
