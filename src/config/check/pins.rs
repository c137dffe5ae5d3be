//! Maps that are files below the BPF file system: those that outlive the exporter (`pin_path`), and those that
//! somebody else loaded (`from_pin`).

use std::cell::OnceCell;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::{Context, Sink};
use crate::btf::{Btf, TypeId};
use crate::config::findings::Spot;
use crate::config::raw::{Found, RawConfig, RawMap, RawMetric};
use crate::elf::{MapInfo, MapKind, ObjectInfo};
use crate::host::{Host, PinnedMap};
use crate::problem::{Place, Problem};
use crate::spec::FromPin;

/// Where a map shall be pinned, if it shall.
pub(super) fn pin_path(sink: &mut Sink<'_>, map: &MapInfo, raw: &RawMap) -> Option<PathBuf> {
    let written = raw.pin_path.as_ref()?;
    if map.kind == MapKind::STRUCT_OPS {
        let message = format!("`{}` cannot be pinned", map.name);
        let problem = Problem::error("bad-pin", Place::default(), message).found(map.kind.to_string());
        sink.report(&written.spot, problem.help("remove `pin_path`"));
        return None;
    }
    path(sink, written)
}

/// A path that can be one of a pin.
fn path(sink: &mut Sink<'_>, written: &Found<String>) -> Option<PathBuf> {
    if let Some(path) = of_a_pin(Path::new(&written.value)) {
        return Some(path);
    }
    let message = format!("{:?} can be no pin", written.value);
    let problem = Problem::error("bad-pin", Place::default(), message)
        .expected("an absolute path below a BPF file system, such as /sys/fs/bpf/flows")
        .help("names there have no dot, which the kernel keeps for itself");
    sink.report(&written.spot, problem);
    None
}

/// The path without slashes that say nothing: with one at its end the kernel looks for a folder.
fn of_a_pin(path: &Path) -> Option<PathBuf> {
    let is_plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    let has_dot = path.file_name().is_none_or(|name| name.as_encoded_bytes().contains(&b'.'));
    let is_good = path.is_absolute() && path.components().all(is_plain) && !has_dot;
    is_good.then(|| path.components().collect())
}

/// A map that somebody else loaded.
struct Pin {
    name: Found<String>,
    path: PathBuf,
    /// The kernel's number of it, and what it is: none while it is not there.
    there: Option<(u32, ObjectInfo)>,
}

/// The maps of a config that others loaded.
pub(crate) struct Pins(Vec<Pin>);

impl Pins {
    /// Whether a config has any, so that it needs no object.
    pub(crate) fn are_in(raw: &RawConfig) -> bool {
        raw.maps.iter().any(|map| map.given("from_pin").is_some())
    }

    /// Looks at all of them.
    pub(crate) fn look(sink: &mut Sink<'_>, raw: &RawConfig, object: &ObjectInfo, host: &Host) -> Self {
        let mut pins = Vec::new();
        for map in &raw.maps {
            let Some(written) = &map.from_pin else { continue };
            sink.map = Some(map.name.value.clone());
            let is_good = is_only_read(sink, map, object);
            let path = path(sink, written);
            let there = path.as_ref().filter(|_| is_good);
            let there = there.and_then(|path| look(sink, &map.name.value, &written.spot, path, host));
            // Of one that is wrong nothing more is said than that.
            if object.map(&map.name.value).is_none() {
                pins.push(Pin { name: map.name.clone(), path: path.unwrap_or_default(), there });
            }
            sink.map = None;
        }
        Self(pins)
    }

    /// As they are opened.
    pub(crate) fn specs(&self) -> Vec<FromPin> {
        let spec = |pin: &Pin| FromPin {
            map: pin.name.value.clone(),
            path: pin.path.clone(),
            id: pin.there.as_ref().map(|(id, _)| *id),
        };
        self.0.iter().map(spec).collect()
    }

    /// What a metric of such a map is checked against: none of another metric, and nothing while the map is not there.
    pub(crate) fn context<'a>(
        &'a self,
        context: &Context<'a>,
        raw: &RawMetric,
    ) -> Option<Option<Context<'a>>> {
        if raw.gives("global") || raw.is_of_events() {
            return None;
        }
        let name = raw.map.as_ref().or(raw.name.as_ref())?;
        let pin = self.0.iter().find(|pin| pin.name.value == name.value)?;
        Some(pin.there.as_ref().map(|(_, object)| Context {
            object,
            own_enums: OnceCell::new(),
            max_series: context.max_series,
            namespace: context.namespace,
            host: context.host,
        }))
    }

    /// Complains of what reads events from a map that others loaded, and has a reader already.
    pub(crate) fn refuse_events(&self, sink: &mut Sink<'_>, raw: &RawMetric) -> bool {
        let Some(buffer) = raw.buffer() else { return false };
        let is_from_pin = self.0.iter().any(|pin| pin.name.value == buffer.value);
        if is_from_pin {
            sink.metric =
                Some(raw.name.as_ref().map_or_else(|| raw.spot.path.clone(), |name| name.value.clone()));
            let message = format!("the events of `{}` go to whoever loaded it", buffer.value);
            let problem = Problem::error("pin-events", Place::default(), message)
                .expected("a map with entries")
                .help("an event can be read once: have its programs count in a hash map, and read that");
            sink.report(&buffer.spot, problem);
            sink.metric = None;
        }
        is_from_pin
    }
}

/// Whether nothing else is asked of a map than to be read.
fn is_only_read(sink: &mut Sink<'_>, map: &RawMap, object: &ObjectInfo) -> bool {
    let name = &map.name;
    if object.map(&name.value).is_some() {
        let message = format!("`{}` is a map of the object, and from a pin", name.value);
        let problem = Problem::error("bad-pin", Place::default(), message)
            .help("give the one from the pin another name, or use `pin_path` to have the object's programs use the pin");
        sink.report(&name.spot, problem);
        return false;
    }
    let mut is_good = true;
    for (key, spot) in map.given.iter().filter(|(key, _)| key != "from_pin") {
        let message = format!("`{key}` of `{}`, which is only read: somebody else loaded it", name.value);
        let problem = Problem::error("pin-is-read-only", Place::default(), message);
        sink.report(spot, problem.help(format!("remove `{key}`: who loaded the map decides it")));
        is_good = false;
    }
    is_good
}

/// What is pinned at a path. What is not there may come: that is a warning.
fn look(sink: &mut Sink<'_>, name: &str, spot: &Spot, path: &Path, host: &Host) -> Option<(u32, ObjectInfo)> {
    let map = match host.pins().look(path) {
        Ok(map) => map,
        Err(error) => {
            sink.report(spot, waits(name, path, &error));
            return None;
        }
    };
    if let Some(reason) = &map.untold {
        let message = format!("the members of `{name}` are not known: {reason}");
        let problem = Problem::warning("pin-types", Place::default(), message)
            .help("its types take CAP_SYS_ADMIN: without them labels are told by position and size");
        sink.report(spot, problem);
    }
    match described(name, &map) {
        Ok(object) => Some((map.id, object)),
        Err(error) => {
            let message = format!("the types of the map at {} cannot be read: {error}", path.display());
            sink.report(spot, Problem::warning("pin-types", Place::default(), message));
            None
        }
    }
}

fn waits(name: &str, path: &Path, error: &io::Error) -> Problem {
    let message = format!("`{name}` is waited for: there is no map at {}", path.display());
    let help = match error.kind() {
        io::ErrorKind::NotFound => {
            "its metrics begin when it is pinned there; `bpftool map list --bpffs` shows where maps are pinned"
        }
        io::ErrorKind::PermissionDenied => {
            "the path has to be a pin below a BPF file system (mount -t bpf bpf /sys/fs/bpf), and readable for the exporter"
        }
        _ => "its metrics begin when a map is pinned there",
    };
    Problem::warning("pin-missing", Place::default(), message).found(error.to_string()).help(help)
}

/// A map as an object with it alone.
fn described(name: &str, map: &PinnedMap) -> Result<ObjectInfo, crate::btf::BtfError> {
    let btf = match &map.types {
        Some(types) => Btf::parse_shared(types.btf.clone(), None)?,
        None => Btf::empty(),
    };
    btf.check_references()?;
    let own = |id: fn(&crate::host::PinnedTypes) -> u32| {
        map.types.as_ref().map(id).filter(|id| *id > 0).map(TypeId)
    };
    let info = MapInfo {
        name: name.to_owned(),
        kind: MapKind(map.kind),
        key_size: map.key_size,
        value_size: map.value_size,
        max_entries: map.max_entries,
        flags: map.flags,
        key_type: own(|types| types.key),
        value_type: own(|types| types.value),
        map_extra: map.extra,
        ..MapInfo::default()
    };
    Ok(ObjectInfo::of_maps(vec![info], btf))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_that_say_nothing_are_left_out() {
        #[track_caller]
        fn check(path: &str, expected: Option<&str>) {
            let found = of_a_pin(Path::new(path)).map(PathBuf::into_os_string);
            assert_eq!(found.as_deref(), expected.map(AsRef::as_ref));
        }
        check("/sys/fs/bpf/flows", Some("/sys/fs/bpf/flows"));
        check("/sys/fs//bpf/flows/", Some("/sys/fs/bpf/flows"));
        check("/sys/fs/bpf/a.b/", None);
        check("/", None);
        check("flows", None);
    }
}
