//! What scrapes see of an object's maps: sources, and buffers of events.

use std::os::fd::AsFd;
use std::sync::Arc;

use crate::problem::{Place, Problem};
use crate::snapshot::{NamedSource, Source};
use crate::spec::LoadSpec;

use super::buffer::Buffer;
use super::loaded::{Loaded, OpenBuffer};
use super::object::LoadedObject;
use super::read::{MapSource, NestedSource};
use super::{Options, globals};

/// Opens the buffers whose events are read. The one of a map that is handed over goes on with it, because it has one
/// reader; the numbers of another one of its name go on all the same.
pub(super) fn buffers(
    spec: &LoadSpec,
    object: &LoadedObject,
    carried: &[String],
    running: Option<&Loaded>,
) -> Result<Vec<OpenBuffer>, Vec<Problem>> {
    let mut opened = Vec::new();
    for wanted in &spec.buffers {
        let before =
            running.and_then(|running| running.held.buffers.iter().find(|before| before.map == wanted.map));
        if let Some(before) = before.filter(|_| carried.contains(&wanted.map)) {
            opened.push(before.clone());
            continue;
        }
        let map = object.map(&wanted.map);
        let counts = before.map(|before| before.buffer.shared_counts()).unwrap_or_default();
        let buffer = map
            .ok_or_else(|| "libbpf finds no map of this name".to_owned())
            .and_then(|map| Buffer::open(&map, wanted, counts));
        match buffer {
            Ok(buffer) => opened.push(OpenBuffer { map: wanted.map.clone(), buffer }),
            Err(reason) => return Err(vec![unopened(spec, &wanted.map, reason)]),
        }
    }
    Ok(opened)
}

fn unopened(spec: &LoadSpec, map: &str, reason: String) -> Problem {
    let config = Some(spec.name.clone());
    let place = Place { config, map: Some(map.to_owned()), ..Place::default() };
    Problem::error("buffer", place, format!("the events of `{map}` cannot be read"))
        .found(reason)
        .help("performance events take CAP_PERFMON and the system call perf_event_open, which a seccomp filter may refuse; both \
             kinds of buffers take memory (docs/config.md)")
}

/// Sources for all maps that can be read whole.
pub(super) fn sources(spec: &LoadSpec, options: &Options, object: &LoadedObject) -> Vec<NamedSource> {
    let mut sources = Vec::new();
    for (name, map) in object.maps() {
        // Metrics name a section's map by the section, whatever the object is called.
        let name = globals::section_of_map(&name).unwrap_or(&name).to_owned();
        let nested = spec.nested.iter().find(|nested| nested.name == name);
        let opened = map.as_fd().try_clone_to_owned().and_then(|map| {
            Ok(match nested {
                Some(nested) => {
                    Arc::new(NestedSource::new(map, nested, options.opener.clone())?) as Arc<dyn Source>
                }
                None => Arc::new(MapSource::new(map)?),
            })
        });
        match opened {
            Ok(source) => sources.push(NamedSource { map: name, source }),
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {}
            Err(error) => tracing::warn!(config = spec.name, map = name, %error, "the map cannot be read"),
        }
    }
    sources
}
