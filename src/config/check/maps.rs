//! The map behind a metric: that it is there and can be read.

use super::{Context, Sink};
use crate::config::findings::Spot;
use crate::config::raw::RawMetric;
use crate::config::suggest;
use crate::elf::{MapInfo, MapKind};
use crate::problem::{Place, Problem};

/// The map of a metric: `map:`, else the metric's own name.
pub(super) fn find<'o>(context: &Context<'o>, sink: &mut Sink<'_>, raw: &RawMetric) -> Option<&'o MapInfo> {
    let name = raw.map.as_ref().or(raw.name.as_ref()).filter(|name| !name.value.is_empty())?;
    sink.map = Some(name.value.clone());
    let Some(map) = context.object.map(&name.value) else {
        missing(context, sink, raw, &name.value, &name.spot);
        return None;
    };
    if !map.is_readable() {
        let inner = map.inner.as_deref().filter(|_| map.kind.is_map_in_map());
        let (kind, help) = describe(inner.map_or(map.kind, |inner| inner.kind));
        let kind = if inner.is_some() { format!("maps, each of which is {kind}") } else { kind };
        sink.report(
            &name.spot,
            Problem::error(
                "map-kind",
                Place::default(),
                format!("the map `{}` cannot be read by keys", map.name),
            )
            .expected("a hash, LRU hash, array, LPM trie, or a per-CPU hash or array")
            .found(kind)
            .help(help),
        );
        return None;
    }
    Some(map)
}

fn missing(context: &Context<'_>, sink: &mut Sink<'_>, raw: &RawMetric, name: &str, spot: &Spot) {
    let maps = context.object.maps.iter().map(|map| map.name.as_str());
    let mut problem =
        Problem::error("missing-map", Place::default(), format!("the object has no map `{name}`"));
    problem.help = suggest::help("maps there are", name, maps);
    if problem.help.is_none() {
        problem = problem.help(if context.object.maps.is_empty() {
            "the object has no maps at all"
        } else {
            "`map:` names the map when it is not the metric's name"
        });
    }
    if raw.map.is_none() {
        problem = problem.expected("a map of the metric's name, or `map:` with another's");
    }
    sink.report(spot, problem);
}

/// A kind that cannot be read in the kernel's words, and what to do.
fn describe(kind: MapKind) -> (String, &'static str) {
    const COUNT: &str = "count in a hash map instead";
    let (name, help) = match kind.0 {
        3 => ("a program array", "it holds programs, not numbers"),
        4 => ("a perf event array", "it is a stream, not a table: count in a hash map instead"),
        7 => ("a stack trace map", "copy the stack into the key of a hash map with bpf_get_stack instead"),
        8 => ("a cgroup array", "it holds cgroups, not numbers"),
        12 => ("an array of maps", "say what it holds: `__array(values, struct …)`"),
        13 => ("a hash of maps", "say what it holds: `__array(values, struct …)`"),
        14 | 25 => ("a device map", "it holds devices, not numbers"),
        15 | 18 => ("a socket map", "it holds sockets, not numbers"),
        16 => ("a CPU map", "it holds CPUs, not numbers"),
        17 => ("an AF_XDP socket map", "it holds sockets, not numbers"),
        19 | 21 | 32 => {
            ("a cgroup storage", "its entries belong to cgroups: count in a hash map by cgroup id instead")
        }
        20 => ("a reuseport socket array", "it holds sockets, not numbers"),
        22 => ("a queue", COUNT),
        23 => ("a stack", COUNT),
        24 => ("a socket storage", COUNT),
        26 => ("a struct_ops map", "it holds functions, not numbers"),
        27 => ("a ring buffer", "it is a stream, not a table: count in a hash map instead"),
        28 => ("an inode storage", COUNT),
        29 => ("a task storage", COUNT),
        30 => ("a bloom filter", COUNT),
        31 => ("a user ring buffer", "it is a stream, not a table"),
        33 => ("an arena", COUNT),
        _ => ("a map of an unknown kind", COUNT),
    };
    (format!("{name} (map type {}, {})", kind.0, kind.name()), help)
}
