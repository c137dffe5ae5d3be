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

use libbpf_rs::{MapCore, Object, OpenMapMut, OpenObject};

use crate::elf::MapKind;
use crate::spec::LoadSpec;

use super::loaded::Loaded;
use super::raw::{self, MapFacts};

/// Has the object use the predecessor's maps wherever both define them alike; their names.
///
/// libbpf adopts any map, whatever its sizes, so the definitions are compared before (see
/// [`LoadSpec::takes_over`]), and here once more what the kernel has against what libbpf is about to ask for.
pub(super) fn hand_over(object: &mut OpenObject, spec: &LoadSpec, running: &Loaded) -> Vec<String> {
    let wanted: Vec<&str> = spec.takes_over(&running.spec).collect();
    let mut carried = Vec::new();
    for mut map in object.maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        if !wanted.contains(&name.as_str()) {
            continue;
        }
        let Some(found) = find(&running.held.object, &name) else { continue };
        match adopt(&mut map, found.as_fd()) {
            Ok(()) => carried.push(name),
            Err(reason) => {
                tracing::warn!(config = spec.name, map = name, reason, "the map begins anew");
            }
        }
    }
    carried
}

fn find<'a>(object: &'a Object, name: &str) -> Option<libbpf_rs::Map<'a>> {
    object.maps().find(|map| map.name().to_str() == Some(name))
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
