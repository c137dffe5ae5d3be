//! One metric of any group.

use super::fields::{Field, join};
use super::keys::{Key, Keys, Shape};
use super::label::{self, labels};
use super::load::conditions;
use super::reader::spot;
use super::{Found, Group, RawMetric, RawText, Reader, later};
use crate::config::yaml::Node;

const EXAMPLE: &str = "{name: ..., help: ..., labels: [...]}";

/// Keys of every metric.
const EVERY: &[Key] = &[
    Key::required(
        "name",
        Shape::Text,
        "The metric's name behind the namespace, and the map's unless `map` says another",
    ),
    Key::required("help", Shape::Text, "What Prometheus shows for the metric"),
    Key::new("map", Shape::Text, "The map to read, when its name is not the metric's"),
    Key::new("global", Shape::Text, "The variable to read instead of a map, or a member of it"),
    Key::new("labels", Shape::List(&Shape::TextOr(&label::KEYS)), "How the map's key becomes labels"),
    Key::new("value", Shape::Text, "The member of a struct value that is the number"),
    Key::new("scale", Shape::Number, "Counters and gauges: multiplies the value"),
    Key::new("reduce", Shape::Choice(reductions), "Per-CPU maps: how the values of all CPUs become one"),
    Key::new("zero", Shape::Boolean, "Publishes 0 from the start for every label set that there can be"),
    Key::new("max_series", Shape::Size, "How many label sets it may have; 0 is as many as there are"),
    Key::new("other", Shape::Texts, "With max_series: the labels of the one series that takes in the rest"),
    Key::new("max_label_length", Shape::Size, "How many bytes a label may have; what is longer is cut"),
];

/// Keys of metrics that are made of events.
const EVENTS: &[Key] = &[
    Key::new("ringbuf", Shape::Text, "The ring buffer whose events are counted"),
    Key::new(
        "perf_event_array",
        Shape::Boolean,
        "Whether `map`, or the map of the metric's name, is an array of performance events that are counted",
    ),
    Key::new("type", Shape::Text, "Of events: the struct that they are, by its name in the object"),
    Key::new("where", Shape::Anything, "Of events: members with the values that count, one or a list"),
];

pub(super) const COUNTER: Keys = Keys {
    what: "a counter",
    example: EXAMPLE,
    known: &[
        EVERY,
        EVENTS,
        &[Key::new(
            "flush_interval",
            Shape::Duration,
            "Of events: after how long all series begin anew, again and again; never when it is not given",
        )],
    ],
    later: &[],
};

pub(super) const GAUGE: Keys =
    Keys { what: "a gauge", example: EXAMPLE, known: &[EVERY], later: later::GAUGE };

pub(super) const HISTOGRAM: Keys = Keys {
    what: "a histogram",
    example: EXAMPLE,
    known: &[
        EVERY,
        EVENTS,
        &[
            Key::new("observe", Shape::Text, "Of events: the member whose size is counted"),
            Key::required("bucket_type", Shape::Choice(bucket_types), "How slots become bounds"),
            Key::new(
                "bucket",
                Shape::Text,
                "The member of the key that is the slot, when it is not the last label",
            ),
            Key::new("slots", Shape::Text, "The array in the value that holds the counts"),
            Key::new("sum", Shape::Text, "With slots: the member of the value that is the sum"),
            Key::new("count", Shape::Text, "With slots: the member of the value that is the count"),
            Key::new("bucket_min", Shape::Integer, "The first slot; not for fixed"),
            Key::new("bucket_max", Shape::Integer, "The last slot; not for fixed"),
            Key::new(
                "bucket_multiplier",
                Shape::Number,
                "Scales bounds and sum, such as 0.000001 for microseconds",
            ),
            Key::new("bucket_keys", Shape::List(&Shape::Number), "For fixed: the bounds, rising"),
        ],
    ],
    later: &[],
};

fn reductions() -> Vec<(&'static str, &'static str)> {
    vec![("sum", "All added up"), ("max", "The largest"), ("min", "The smallest"), ("avg", "The mean")]
}

fn bucket_types() -> Vec<(&'static str, &'static str)> {
    vec![
        ("exp2", "Slot i has the bound 2^i"),
        ("exp2zero", "Slot 0 has the bound 0, slot i the bound 2^(i-1)"),
        ("log2", "Slot i holds 2^i to 2^(i+1)-1, the last one all above"),
        ("linear", "Slot i has the bound i"),
        ("fixed", "Each of bucket_keys is a slot and its bound"),
    ]
}

/// Reads one metric; its problems cost it alone.
pub(super) fn metric(reader: &mut Reader, group: Group, node: &Node, path: &str) -> RawMetric {
    let (mark, later) = (reader.mark(), reader.later);
    let mut raw = empty(group, node, path);
    let keys = match group {
        Group::Counters => &COUNTER,
        Group::Gauges => &GAUGE,
        Group::Histograms => &HISTOGRAM,
    };
    for field in reader.fields(node, path, keys) {
        let path = join(path, field.name);
        read_field(reader, &mut raw, &field, &path);
        let by_name =
            ["global", "value", "bucket", "slots", "sum", "count", "ringbuf", "type", "observe", "where"];
        // Null is "not given" there, and must not make a histogram of another kind.
        if !(field.value.is_null() && by_name.contains(&field.name)) {
            raw.given.push(field.name.to_owned());
        }
    }
    let name = raw.name.as_ref().map(|name| name.value.as_str()).filter(|name| !name.is_empty());
    raw.broken = reader.blame(mark, name.unwrap_or(path));
    raw.strange = reader.later > later || (raw.broken && raw.given.is_empty());
    raw
}

pub(super) fn empty(group: Group, node: &Node, path: &str) -> RawMetric {
    RawMetric {
        group,
        spot: spot(node, path),
        name: None,
        help: None,
        map: None,
        global: None,
        scale: None,
        reduce: None,
        zero: None,
        max_series: None,
        other: None,
        max_label_length: None,
        bucket_type: None,
        bucket_min: None,
        bucket_max: None,
        bucket_multiplier: None,
        bucket_keys: None,
        labels: Vec::new(),
        ringbuf: None,
        perf_event_array: false,
        event_type: None,
        conditions: Vec::new(),
        observe: None,
        flush_interval: None,
        value: None,
        bucket: None,
        slots: None,
        sum: None,
        count: None,
        given: Vec::new(),
        broken: false,
        strange: false,
    }
}

pub(super) fn read_field(reader: &mut Reader, raw: &mut RawMetric, field: &Field<'_>, path: &str) {
    let node = field.value;
    match field.name {
        "name" => raw.name = reader.text(node, path),
        "help" => raw.help = reader.text(node, path),
        // Null is "not given" for the keys that the reference does not have.
        "map" => raw.map = optional(node).and_then(|node| reader.text(node, path)),
        "global" => raw.global = optional(node).and_then(|node| reader.text(node, path)),
        "value" => raw.value = optional(node).and_then(|node| reader.text(node, path)),
        "bucket" => raw.bucket = optional(node).and_then(|node| reader.text(node, path)),
        "slots" => raw.slots = optional(node).and_then(|node| reader.text(node, path)),
        "sum" => raw.sum = optional(node).and_then(|node| reader.text(node, path)),
        "count" => raw.count = optional(node).and_then(|node| reader.text(node, path)),
        "scale" => raw.scale = optional(node).and_then(|node| reader.float(node, path)),
        "reduce" => raw.reduce = optional(node).and_then(|node| reader.text(node, path)),
        "zero" => raw.zero = optional(node).and_then(|node| reader.boolean(node, path)),
        "max_series" => raw.max_series = optional(node).and_then(|node| reader.integer(node, path)),
        "other" => raw.other = optional(node).and_then(|node| other(reader, node, path)),
        "max_label_length" => {
            raw.max_label_length = optional(node).and_then(|node| reader.integer(node, path));
        }
        "bucket_type" => raw.bucket_type = reader.text(node, path),
        "bucket_min" => raw.bucket_min = reader.integer(node, path),
        "bucket_max" => raw.bucket_max = reader.integer(node, path),
        "bucket_multiplier" => raw.bucket_multiplier = reader.float(node, path),
        "bucket_keys" => raw.bucket_keys = bucket_keys(reader, node, path),
        "labels" => raw.labels = labels(reader, node, path),
        _ => read_event_field(reader, raw, field, path),
    }
}

/// What only metrics that are made of events have.
fn read_event_field(reader: &mut Reader, raw: &mut RawMetric, field: &Field<'_>, path: &str) {
    let node = field.value;
    match field.name {
        "ringbuf" => raw.ringbuf = optional(node).and_then(|node| reader.text(node, path)),
        "type" => raw.event_type = optional(node).and_then(|node| reader.text(node, path)),
        "observe" => raw.observe = optional(node).and_then(|node| reader.text(node, path)),
        "where" => raw.conditions = conditions(reader, node, path),
        "flush_interval" => raw.flush_interval = reader.duration(node, path),
        "perf_event_array" => {
            raw.perf_event_array = reader.boolean(node, path).is_some_and(|found| found.value);
        }
        _ => {}
    }
}

fn optional(node: &Node) -> Option<&Node> {
    (!node.is_null()).then_some(node)
}

/// Labels with their texts; of a label that is named again the last one counts.
fn other(reader: &mut Reader, node: &Node, path: &str) -> Option<Found<Vec<RawText>>> {
    let mark = reader.mark();
    let mut texts: Vec<RawText> = Vec::new();
    for field in reader.assignments(node, path, "a mapping from labels to texts, such as {user: other}") {
        let path = join(path, field.name);
        let label = Found { value: field.name.to_owned(), spot: spot(field.key, &path) };
        let Some(text) = reader.text(field.value, &path) else { continue };
        texts.retain(|known| known.label.value != label.value);
        texts.push(RawText { label, text: text.value });
    }
    (reader.mark().1 == mark.1).then(|| Found { value: texts, spot: spot(node, path) })
}

fn bucket_keys(reader: &mut Reader, node: &Node, path: &str) -> Option<Found<Vec<Found<f64>>>> {
    let items = reader.list(node, path, "numbers")?;
    let at = spot(node, path);
    let keys = items
        .iter()
        .enumerate()
        .filter_map(|(index, item)| reader.float(item, &format!("{path}[{index}]")))
        .collect();
    Some(Found { value: keys, spot: at })
}
