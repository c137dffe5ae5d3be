//! The buffer behind a metric, and what its events are.

use super::super::members::{Part, Whole};
use super::super::{Context, Sink};
use super::Layout;
use crate::btf::{Kind, TypeId};
use crate::config::findings::Spot;
use crate::config::raw::{RawConfig, RawMap, RawMetric};
use crate::config::suggest;
use crate::elf::{MapInfo, MapKind};
use crate::problem::{Place, Problem};
use crate::spec::{BufferSpec, MetricSpec, SpanSpec};

/// Pages of each CPU's buffer when the config does not say it: 256 KiB.
const PAGES: usize = 64;

/// More is a mistake: 4 GiB for each CPU.
const MAX_PAGES: i64 = 1 << 20;

/// The buffer of a metric.
pub(super) fn find<'o>(context: &Context<'o>, sink: &mut Sink<'_>, raw: &RawMetric) -> Option<&'o MapInfo> {
    let name = raw.buffer()?;
    sink.map = Some(name.value.clone());
    let Some(map) = context.object.map(&name.value) else {
        missing(context, sink, raw, &name.value, &name.spot);
        return None;
    };
    let (wanted, what) = match raw.perf_event_array {
        true => (MapKind::PERF_EVENT_ARRAY, "an array of performance events"),
        false => (MapKind::RINGBUF, "a ring buffer"),
    };
    let problem = if map.kind != wanted {
        let help = match map.kind {
            MapKind::RINGBUF => format!("ringbuf: {}", map.name),
            MapKind::PERF_EVENT_ARRAY => "perf_event_array: true, with its name as `map`".to_owned(),
            _ => "read the entries of other maps with `map`".to_owned(),
        };
        let problem = Problem::error("map-kind", Place::default(), format!("`{}` is not {what}", map.name));
        problem.expected(what).found(map.kind.to_string()).help(help)
    } else if map.pinned {
        let message = format!("the buffer `{}` is pinned, so that others may read it, too", map.name);
        Problem::error("pinned-buffer", Place::default(), message)
            .expected("a buffer with one reader: each event is given to one of them alone")
            .help("remove `LIBBPF_PIN_BY_NAME` from it in the object's source")
    } else {
        return Some(map);
    };
    sink.report(&name.spot, problem);
    None
}

fn missing(context: &Context<'_>, sink: &mut Sink<'_>, raw: &RawMetric, name: &str, spot: &Spot) {
    let wanted = if raw.perf_event_array { MapKind::PERF_EVENT_ARRAY } else { MapKind::RINGBUF };
    let buffers = context.object.maps.iter().filter(|map| map.kind == wanted);
    let message = format!("the object has no map `{name}`");
    let mut problem = Problem::error("missing-map", Place::default(), message);
    problem.help = suggest::help("buffers there are", name, buffers.map(|map| map.name.as_str()))
        .or_else(|| Some(format!("the object has no map of the kind {wanted}")));
    sink.report(spot, problem);
}

/// What the events of a buffer are.
pub(super) fn layout<'o>(
    context: &'o Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    map: &'o MapInfo,
) -> Layout<'o> {
    let Some(name) = &raw.event_type else {
        return if raw.gives("type") { Layout::Lost } else { Layout::Unknown };
    };
    let Some(id) = type_of(context, &name.value) else {
        unknown_type(context, sink, &name.spot, &name.value);
        return Layout::Lost;
    };
    match Whole::of_type(context, map, Part::Event, id) {
        Ok(whole) => Layout::Typed(whole),
        Err(error) => {
            let message = format!("`{}` cannot be the type of events", name.value);
            let problem = Problem::error("event-type", Place::default(), message).found(error.to_string());
            sink.report(&name.spot, problem.expected("a struct with a size"));
            Layout::Lost
        }
    }
}

/// A type by its name, with or without `struct`.
fn type_of(context: &Context<'_>, name: &str) -> Option<TypeId> {
    let (kinds, name): (&[Kind], &str) = match name.split_once(char::is_whitespace) {
        Some(("struct", rest)) => (&[Kind::Struct], rest.trim()),
        Some(("union", rest)) => (&[Kind::Union], rest.trim()),
        _ => (&[Kind::Struct, Kind::Typedef, Kind::Union, Kind::Int], name.trim()),
    };
    kinds.iter().find_map(|kind| context.object.btf.find_own(name, *kind))
}

fn unknown_type(context: &Context<'_>, sink: &mut Sink<'_>, spot: &Spot, name: &str) {
    let btf = &context.object.btf;
    let structs = btf.ids().filter_map(|id| btf.type_by_id(id).ok());
    let structs: Vec<&str> = structs
        .filter(|found| found.kind() == Kind::Struct && !found.name().is_empty())
        .map(|found| found.name())
        .collect();
    let bare = name.rsplit(char::is_whitespace).next().unwrap_or(name);
    let mut problem =
        Problem::error("unknown-type", Place::default(), format!("the object has no type `{name}`"));
    // Structs that are used by pointers alone are the usual case of events.
    problem = problem.expected("a struct of the object, by its name");
    problem.help =
        suggest::closest(bare, structs.iter().copied()).map(|close| format!("did you mean `{close}`?"));
    if problem.help.is_none() {
        problem = problem.help(format!(
            "clang leaves out types that only local variables have: add \
             `const struct {bare} *unused_{bare} __attribute__((unused));` to the object's source"
        ));
    }
    sink.report(spot, problem);
}

/// Says that names need a type.
pub(super) fn untyped(sink: &mut Sink<'_>, raw: &RawMetric, key: &str) {
    let spot = match key {
        "value" => raw.value.as_ref().map(|found| &found.spot),
        "observe" => raw.observe.as_ref().map(|found| &found.spot),
        "where" => raw.conditions.first().map(|condition| &condition.name.spot),
        _ => raw.labels.first().map(|label| &label.spot),
    };
    let message = match key {
        "labels" => "the labels name members of events, and nothing says what those are".to_owned(),
        _ => format!("`{key}` names a member of events, and nothing says what those are"),
    };
    let help = match key {
        "labels" => "type: NAME, with the name of the struct; or give every label its `size`",
        _ => "type: NAME, with the name of the struct",
    };
    let problem = Problem::error("no-event-type", Place::default(), message);
    let problem = problem.expected("`type` with the struct that the program writes to the buffer").help(help);
    sink.report(spot.unwrap_or(&raw.spot), problem);
}

/// The buffers that metrics and spans come from.
pub(crate) fn buffers(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawConfig,
    metrics: &[MetricSpec],
    spans: &[SpanSpec],
) -> Vec<BufferSpec> {
    let of_metrics = metrics.iter().filter_map(|metric| Some(metric.events.as_ref()?.buffer.as_str()));
    let mut names: Vec<&str> = of_metrics.chain(spans.iter().map(|span| span.map.as_str())).collect();
    names.sort_unstable();
    names.dedup();
    let settings: Vec<(&str, usize)> = raw
        .maps
        .iter()
        .filter_map(|setting| Some((setting.name.value.as_str(), pages(context, sink, setting)?)))
        .collect();
    let buffer = |name: &&str| {
        let map = context.object.map(name)?;
        let given = settings.iter().find(|(of, _)| of == name).map(|(_, pages)| *pages);
        let pages = (map.kind == MapKind::PERF_EVENT_ARRAY).then(|| given.unwrap_or(PAGES));
        Some(BufferSpec { map: (*name).to_owned(), pages })
    };
    names.iter().filter_map(buffer).collect()
}

/// The size that a config gives a buffer of performance events.
fn pages(context: &Context<'_>, sink: &mut Sink<'_>, setting: &RawMap) -> Option<usize> {
    let pages = setting.pages.as_ref()?;
    let map = context.object.map(&setting.name.value)?;
    sink.map = Some(map.name.clone());
    let problem = |message: String| Problem::error("buffer-pages", Place::default(), message);
    let good =
        u32::try_from(pages.value).ok().filter(|count| count.is_power_of_two() && pages.value <= MAX_PAGES);
    if map.kind != MapKind::PERF_EVENT_ARRAY {
        let problem = problem(format!("`{}` has no buffers of pages", map.name));
        let help = if map.kind == MapKind::RINGBUF {
            "the size of a ring buffer is its `max_entries`, in bytes"
        } else {
            "remove it"
        };
        let problem = problem.expected("an array of performance events").found(map.kind.to_string());
        sink.report(&pages.spot, problem.help(help));
    } else if good.is_none() {
        let problem = problem(format!("the buffers of `{}` cannot have this size", map.name));
        sink.report(
            &pages.spot,
            problem.expected("a power of two, such as 64").found(pages.value.to_string()),
        );
    }
    sink.map = None;
    good.filter(|_| map.kind == MapKind::PERF_EVENT_ARRAY).map(|pages| pages as usize)
}

/// What the events of a ring buffer are, comparable between two objects; none when they are like no others.
pub(crate) fn event_types(context: &Context<'_>, raw: &RawConfig, map: &MapInfo) -> Option<String> {
    let of_map = |metric: &&RawMetric| metric.buffer().is_some_and(|name| name.value == map.name);
    let records = raw.spans.iter().map(|span| &span.record);
    let named =
        raw.metrics.iter().chain(records).filter(of_map).filter_map(|metric| metric.event_type.as_ref());
    let shape = |id| context.object.btf.shape(id);
    let shapes: Option<Vec<String>> =
        named.filter_map(|name| type_of(context, &name.value)).map(shape).collect();
    let mut shapes = shapes?;
    shapes.sort_unstable();
    shapes.dedup();
    Some(shapes.join(" "))
}
