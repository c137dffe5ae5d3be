//! Handing the maps of what is loaded to its successor, so that counts go on.
//!
//! From the load of the successor until the last of the old programs is detached, the programs of both
//! objects may use such a map, and when the successor is refused the old ones go on with it. So a map is
//! handed over only where both mean the same by its bytes: the same members, and the same names for numbers
//! (see [`crate::btf::Btf::shape`]). What a type does not say, such as a unit, is for `carry: false`.
//! Never handed over is what belongs to one object's programs: libbpf's descriptions of USDT arguments,
//! which it numbers anew for each object; timers and work queues, whose callbacks would keep the old
//! program at work; lists, trees and kernel pointers, whose types the kernel compares by object. A spin
//! lock is the same for all programs.

use std::os::fd::{AsFd, BorrowedFd};

use libbpf_rs::{OpenMapMut, OpenObject};

use crate::elf::MapKind;
use crate::spec::LoadSpec;

use super::loaded::Loaded;
use super::object::LoadedObject;
use super::raw::{self, MapFacts};
use super::shared;

/// Has the object use the predecessor's maps wherever both define them alike.
///
/// libbpf adopts any map, whatever its sizes, so the definitions are compared before (see
/// [`LoadSpec::takes_over`]), and here once more what the kernel has against what libbpf is about to ask for.
/// A pin that is there goes before the predecessor's map.
pub(super) fn hand_over(object: &mut OpenObject, spec: &LoadSpec, running: &Loaded) {
    let wanted: Vec<&str> = spec.takes_over(&running.spec).collect();
    for mut map in object.maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        // What was shared with others stays theirs when it is not to be shared any more.
        let is_shared = |spec| shared::shared_name(spec, &name).map(str::to_owned);
        let leaves = is_shared(&running.spec).is_some_and(|_| is_shared(&running.spec) != is_shared(spec));
        if leaves || !wanted.contains(&name.as_str()) {
            continue;
        }
        let Some(found) = running.held.object.map(&name) else { continue };
        if let Err(reason) = adopt(&mut map, found.as_fd()) {
            tracing::warn!(config = spec.name, map = name, reason, "the map begins anew");
        }
    }
}

/// Names of the maps that are the predecessor's, whichever way they came.
pub(super) fn carried(object: &LoadedObject, running: &Loaded) -> Vec<String> {
    let id = |map: &libbpf_rs::Map<'_>| raw::describe_map(map.as_fd()).ok().map(|facts| facts.id);
    let is_same = |(name, map): &(String, libbpf_rs::Map<'_>)| {
        running.held.object.map(name).is_some_and(|old| id(&old).is_some() && id(&old) == id(map))
    };
    object.maps().filter(is_same).map(|(name, _)| name).collect()
}

fn adopt(map: &mut OpenMapMut<'_>, running: BorrowedFd<'_>) -> Result<(), String> {
    let facts = raw::map_facts(running).map_err(|error| error.to_string())?;
    let wanted = MapFacts {
        kind: raw::open_map_kind(map),
        key_size: map.key_size() as usize,
        value_size: map.value_size() as usize,
        // libbpf rounds the size of a ring buffer up to pages.
        max_entries: if facts.kind == MapKind::RINGBUF.0 { facts.max_entries } else { map.max_entries() },
    };
    if facts != wanted {
        return Err(format!("the kernel has {facts:?}, and {wanted:?} is asked for"));
    }
    map.reuse_fd(running).map_err(|error| error.to_string())
}
