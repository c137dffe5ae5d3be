//! Handing the maps of what is loaded to its successor, so that counts go on.

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
        kind: map.map_type() as u32,
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
