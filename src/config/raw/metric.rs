//! One metric of any group.

use super::fields::{Field, Keys, join};
use super::label::labels;
use super::reader::spot;
use super::{Found, Group, RawMetric, Reader, later};
use crate::config::duration;
use crate::config::yaml::{Node, scalar};

const EXAMPLE: &str = "{name: ..., help: ..., labels: [...]}";

const COUNTER: Keys = Keys {
    what: "a counter",
    example: EXAMPLE,
    known: &[
        "name",
        "help",
        "map",
        "value",
        "scale",
        "reduce",
        "labels",
        "perf_event_array",
        "flush_interval",
    ],
    later: later::METRIC,
};

const GAUGE: Keys = Keys {
    what: "a gauge",
    example: EXAMPLE,
    known: &["name", "help", "map", "value", "scale", "reduce", "labels"],
    later: later::METRIC,
};

const HISTOGRAM: Keys = Keys {
    what: "a histogram",
    example: EXAMPLE,
    known: &[
        "name",
        "help",
        "map",
        "value",
        "bucket",
        "slots",
        "sum",
        "count",
        "scale",
        "reduce",
        "labels",
        "bucket_type",
        "bucket_min",
        "bucket_max",
        "bucket_multiplier",
        "bucket_keys",
    ],
    later: later::METRIC,
};

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
        let by_name = ["value", "bucket", "slots", "sum", "count"];
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

fn empty(group: Group, node: &Node, path: &str) -> RawMetric {
    RawMetric {
        group,
        spot: spot(node, path),
        name: None,
        help: None,
        map: None,
        scale: None,
        reduce: None,
        bucket_type: None,
        bucket_min: None,
        bucket_max: None,
        bucket_multiplier: None,
        bucket_keys: None,
        labels: Vec::new(),
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

fn read_field(reader: &mut Reader, raw: &mut RawMetric, field: &Field<'_>, path: &str) {
    let node = field.value;
    match field.name {
        "name" => raw.name = reader.text(node, path),
        "help" => raw.help = reader.text(node, path),
        // Null is "not given" for the keys that the reference does not have.
        "map" => raw.map = optional(node).and_then(|node| reader.text(node, path)),
        "value" => raw.value = optional(node).and_then(|node| reader.text(node, path)),
        "bucket" => raw.bucket = optional(node).and_then(|node| reader.text(node, path)),
        "slots" => raw.slots = optional(node).and_then(|node| reader.text(node, path)),
        "sum" => raw.sum = optional(node).and_then(|node| reader.text(node, path)),
        "count" => raw.count = optional(node).and_then(|node| reader.text(node, path)),
        "scale" => raw.scale = optional(node).and_then(|node| reader.float(node, path)),
        "reduce" => raw.reduce = optional(node).and_then(|node| reader.text(node, path)),
        "bucket_type" => raw.bucket_type = reader.text(node, path),
        "bucket_min" => raw.bucket_min = reader.integer(node, path),
        "bucket_max" => raw.bucket_max = reader.integer(node, path),
        "bucket_multiplier" => raw.bucket_multiplier = reader.float(node, path),
        "bucket_keys" => raw.bucket_keys = bucket_keys(reader, node, path),
        "labels" => raw.labels = labels(reader, node, path),
        "flush_interval" => flush_interval(reader, node, path),
        "perf_event_array" => {
            if let Some(found) = reader.boolean(node, path)
                && found.value
            {
                reader.not_yet(&found.spot, &later::PERF_EVENT_ARRAY);
            }
        }
        _ => {}
    }
}

fn optional(node: &Node) -> Option<&Node> {
    (!node.is_null()).then_some(node)
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

/// A duration; a bare number counts nanoseconds, as in Go. It means nothing here, but is never nonsense.
fn flush_interval(reader: &mut Reader, node: &Node, path: &str) {
    let is_duration = node.scalar().is_some_and(|scalar| match scalar::integer(scalar) {
        Some(nanoseconds) => nanoseconds >= 0,
        None => duration::parse(&scalar.text).is_some(),
    });
    if !is_duration {
        reader.wrong_type(node, path, "a duration such as 30s or 1h30m");
    }
}
