//! What an exporter before this one has left of a config below `--bpf.pin-path`, and what is to come of it.

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libbpf_rs::OpenObject;

use crate::elf::{MAPS_OF_USDT, MapKind};
use crate::host::Host;
use crate::spec::LoadSpec;

use super::attach::{self, Attached, Filter, Target};
use super::exchange::{Attachment, Planned};
use super::keep::{
    Folder, Pin, entries, events_of, is_link, is_note, link_name, map_name, note_name, remove,
};
use super::object::MapNames;
use super::{pinning, raw};

/// Links at their places.
pub(super) type Links = Vec<Attachment<Attached, Target>>;

/// Folders with files of maps and links.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// With each, whether it is of what the same spec loaded; those come first.
    folders: Vec<(Arc<Folder>, bool)>,
    /// Whether all maps are there that are needed to go on as if nothing had happened.
    is_same: bool,
    /// The files of links that are at work at places that are still wanted.
    taken: HashSet<PathBuf>,
}

impl Left {
    pub(super) fn new(folders: Vec<(Arc<Folder>, bool)>) -> Self {
        let is_same = folders.first().is_some_and(|(_, is_own)| *is_own);
        Self { folders, is_same, taken: HashSet::new() }
    }

    /// Has an object use the maps that were left: all of them, or those that both define alike.
    pub(super) fn take_maps(&mut self, object: &mut OpenObject, names: &MapNames, spec: &LoadSpec) {
        let is_own = |name: &str| {
            spec.setting(name).is_some_and(|setting| setting.pin_path.is_some() || setting.shared.is_some())
        };
        let mut found = Vec::new();
        for map in object.maps_mut() {
            let name = names.name(&map).to_owned();
            // Programs of probes are not kept.
            if raw::pin_path(&map).is_some() || MAPS_OF_USDT.contains(&name.as_str()) {
                continue;
            }
            // Of an exporter that crashed while it took over not all are in one folder.
            let there = self.folders.iter().find_map(|(folder, is_same)| {
                let map = raw::open_pinned_map(&folder.path().join(map_name(&name)), false).ok()?;
                Some((map, folder.events_of(&name), *is_same))
            });
            self.is_same &= there.as_ref().is_some_and(|(_, _, is_same)| *is_same) || is_own(&name);
            found.extend(there.map(|(there, events, _)| (name, there, events)));
        }
        for mut map in object.maps_mut() {
            let name = names.name(&map);
            let Some((_, there, events)) = found.iter().find(|(found, ..)| found == name) else { continue };
            if !self.is_same && !fits(spec, name, there.as_fd(), events.as_deref()) {
                continue;
            }
            if let Err(error) = map.reuse_fd(there.as_fd()) {
                tracing::warn!(config = spec.name, map = name, %error, "the map begins anew");
                self.is_same = false;
            }
        }
    }

    /// What of the places that are planned has a program: what goes on as it is, which needs not be attached any more,
    /// and what is to be taken over from.
    pub(super) fn at_work(&mut self, planned: &mut Vec<Planned<Target>>, host: &Host) -> (Links, Links) {
        let (mut goes_on, mut was_there) = (Vec::new(), Vec::new());
        // A module may have been loaded anew meanwhile: it took the probes at its functions with it.
        let may_have_ended = if self.is_same && self.files().any(|path| is_link(&path)) {
            attach::of_modules(planned.iter().map(|planned| &planned.place), host)
        } else {
            HashSet::new()
        };
        planned.retain(|planned| {
            let Some((link, is_same)) = self.take_link(planned) else { return true };
            let is_same = is_same && !may_have_ended.contains(&planned.place);
            let Planned { program, place } = planned.clone();
            let attachment = Attachment { program, place, link };
            if is_same {
                goes_on.push(attachment)
            } else {
                was_there.push(attachment)
            }
            !is_same
        });
        (goes_on, was_there)
    }

    /// What holds a program at a place, with its file, and whether it is of what would be loaded now: whoever crashed
    /// while it took over has left some of its predecessor's.
    fn take_link(&mut self, planned: &Planned<Target>) -> Option<(Attached, bool)> {
        let find = |name: &str| {
            let mut paths =
                self.folders.iter().map(|(folder, is_own)| (folder, *is_own, folder.path().join(name)));
            paths.find(|(_, _, path)| path.is_symlink() || path.exists())
        };
        let name = note_name(&planned.program, &planned.place);
        if let Some((folder, _, path)) = find(&name) {
            let mut filter = filter(&path)?;
            filter.set_note(Some(Pin::of(folder, name)));
            self.taken.insert(path);
            // The kernel can exchange its program, so that the one is at work that was loaded now.
            return Some((Attached::Filter(filter), false));
        }
        let name = link_name(&planned.program, &planned.place);
        let (folder, is_own, path) = find(&name)?;
        let link = Attached::taken_over(raw::open_pin(&path, false).ok()?);
        let pin = Pin::of(folder, name);
        self.taken.insert(path);
        Some((Attached::Pinned { link: Box::new(link), pin }, self.is_same && is_own))
    }

    /// Ends what was left at places that are not wanted any more: one of them is in the way of another. Whether there
    /// was any.
    pub(super) fn make_way(&mut self) -> bool {
        let mut has_made = false;
        for path in self.files() {
            if !is_link(&path) || self.taken.contains(&path) {
                continue;
            }
            if let Ok(link) = raw::open_pin(&path, false) {
                has_made = true;
                Attached::taken_over(link).detach_now();
            }
            let _ = std::fs::remove_file(path);
        }
        has_made
    }

    /// All files that were left.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.folders.iter().flat_map(|(folder, _)| entries(&folder.path()))
    }

    /// All that was left is as it was: what is held of it lets go of it and removes nothing.
    pub(super) fn stay(&self) {
        self.folders.iter().for_each(|(folder, _)| folder.stay());
    }

    /// Removes all that was left, when what is needed of it is held elsewhere.
    pub(super) fn remove(self) {
        for (folder, _) in &self.folders {
            let notes = entries(&folder.path()).into_iter().filter(|path| is_note(path));
            // Those that are at work have a note in another folder now.
            notes.filter(|path| !self.taken.contains(path)).filter_map(|path| filter(&path)).for_each(drop);
            remove(&folder.path());
        }
    }
}

/// The filter that a note tells of; it is taken off when it is dropped.
fn filter(path: &Path) -> Option<Filter> {
    Filter::of_note(std::fs::read_link(path).ok()?.to_str()?)
}

/// Whether a map of another object is what this one defines, so that it may go on with it.
/// What the events of a ring buffer are the kernel does not know, but a note.
fn fits(spec: &LoadSpec, name: &str, there: BorrowedFd<'_>, events: Option<&str>) -> bool {
    let are_alike = |kind: u32| kind != MapKind::RINGBUF.0 || events_of(spec, name).as_deref() == events;
    let is_portable = spec.carried.iter().any(|map| map.name == name && are_alike(map.kind));
    let is_other = |difference: &crate::spec::Difference| {
        // Large arrays are made mappable by the load itself.
        difference.what != "map_flags" || difference.found != libbpf_sys::BPF_F_MMAPABLE.to_string()
    };
    is_portable && !pinning::differences(spec, name, there).iter().any(is_other)
}
