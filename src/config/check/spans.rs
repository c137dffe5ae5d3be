//! Spans: the ring buffer that they come from, and what of its records the labels are.

use std::collections::HashSet;

use super::labels::{self, Fields};
use super::{Context, Sink, decoders, events};
use crate::config::findings::Spot;
use crate::config::raw::{RawLabel, RawSpan};
use crate::problem::{Place, Problem};
use crate::spec::{LabelSource, LabelSpec, SpanSpec};

/// Spans of all kinds that can be had.
pub(crate) fn spans(context: &Context<'_>, sink: &mut Sink<'_>, raw: &[RawSpan]) -> Vec<SpanSpec> {
    raw.iter().filter_map(|raw| span(context, sink, raw)).collect()
}

/// Checks one; none when it is lost.
fn span(context: &Context<'_>, sink: &mut Sink<'_>, raw: &RawSpan) -> Option<SpanSpec> {
    if raw.record.strange || sink.is_full() {
        return None;
    }
    let called = raw.called().unwrap_or(&raw.record.spot.path).to_owned();
    sink.metric = Some(called.clone());
    let errors = sink.findings.errors();
    let spec = checked(context, sink, raw, called);
    sink.metric = None;
    sink.map = None;
    spec.filter(|_| sink.findings.errors() == errors && !raw.record.broken)
}

fn checked(context: &Context<'_>, sink: &mut Sink<'_>, raw: &RawSpan, name: String) -> Option<SpanSpec> {
    has_ring(sink, raw);
    names(sink, raw);
    labels::mixed(sink, &raw.record);
    let (map, mut fields, conditions) = match events::records(context, sink, &raw.record) {
        Some(records) => (Some(records.map), records.fields, records.conditions),
        None => (None, None, None),
    };
    identifiers_by_name(raw, fields.as_mut());
    let chains = decoders::chains(context, sink, &raw.record, fields.as_ref());
    let labels = fields.zip(chains).and_then(|(fields, chains)| fields.into_specs(&raw.record, chains));
    if let Some((labels, _)) = &labels {
        parts(sink, raw, labels);
    }
    // Everything was looked at: from here on nothing may be missing.
    let (map, (labels, _), conditions) = (map?, labels?, conditions?);
    let place = Place {
        path: raw.record.spot.path.clone(),
        position: spot(raw).position,
        metric: Some(name.clone()),
        map: Some(map.name.clone()),
        ..sink.findings.place.clone()
    };
    let service = raw.service.as_ref().map(|found| found.value.clone()).filter(|name| !name.is_empty());
    Some(SpanSpec { name, map: map.name.clone(), service, conditions, labels: counting(labels), place })
}

fn spot(raw: &RawSpan) -> &Spot {
    raw.name.as_ref().or(raw.record.ringbuf.as_ref()).map_or(&raw.record.spot, |found| &found.spot)
}

/// Complains of a span that comes from nowhere.
fn has_ring(sink: &mut Sink<'_>, raw: &RawSpan) {
    let ringbuf = raw.record.ringbuf.as_ref();
    let was_refused = ringbuf.is_none() && raw.record.gives("ringbuf");
    if was_refused || ringbuf.is_some_and(|name| !name.value.is_empty()) {
        return;
    }
    let at = ringbuf.map_or(&raw.record.spot, |found| &found.spot);
    let problem = Problem::error("missing-ringbuf", Place::default(), "a span without a `ringbuf`");
    sink.report(at, problem.expected("`ringbuf`, the map that its records come from"));
}

/// Members that are identifiers have these digits whatever their type.
fn identifiers_by_name(raw: &RawSpan, fields: Option<&mut Fields>) {
    if !raw.record.is_by_name() {
        return;
    }
    let inputs = fields.map(|fields| fields.inputs.iter_mut()).into_iter().flatten();
    for (label, input) in raw.record.labels.iter().zip(inputs) {
        if let Some(input) = input
            && bytes_of_identifier(name_of(label)).is_some()
        {
            (input.default, input.enum_type) = (Some("hex"), None);
        }
    }
}

/// How many bytes an identifier has; none of any other label.
fn bytes_of_identifier(label: &str) -> Option<usize> {
    match label {
        "trace_id" => Some(16),
        "span_id" | "parent_span_id" => Some(8),
        _ => None,
    }
}

/// Names of labels: of attributes any text will do. What the reference would send without one, or only the last
/// of, is told and left out.
fn names(sink: &mut Sink<'_>, raw: &RawSpan) {
    let mut given = HashSet::new();
    for label in &raw.record.labels {
        let spot = label.name.as_ref().map_or(&label.spot, |name| &name.spot);
        let name = name_of(label);
        if name.is_empty() && !label.broken {
            let problem =
                Problem::warning("missing-name", Place::default(), "a label without a `name` is left out");
            sink.report(spot, problem.expected("`name`, which is the attribute's"));
        } else if !given.insert(name) && !name.is_empty() {
            let message = format!("two labels are called `{name}`, and only the last one counts");
            let problem = Problem::warning("duplicate-label", Place::default(), message);
            sink.report(spot, problem.expected("a name of its own for each attribute"));
        }
    }
}

fn name_of(label: &RawLabel) -> &str {
    label.name.as_ref().map_or("", |name| &name.value)
}

/// Labels that count.
fn counting(labels: Vec<LabelSpec>) -> Vec<LabelSpec> {
    let mut names = HashSet::new();
    let mut last_first: Vec<LabelSpec> = labels.into_iter().rev().collect();
    last_first.retain(|label| !label.name.is_empty() && names.insert(label.name.clone()));
    last_first.reverse();
    last_first
}

/// Parts of a span that its labels can never be: every span would be lost.
fn parts(sink: &mut Sink<'_>, raw: &RawSpan, labels: &[LabelSpec]) {
    for (label, spec) in raw.record.labels.iter().zip(labels) {
        let Some(bytes) = bytes_of_identifier(&spec.name) else {
            if matches!(spec.name.as_str(), "span_monotonic_timestamp_ns" | "span_duration_ns") {
                number(sink, label, spec);
            }
            continue;
        };
        let names: Vec<&str> = label.decoders.iter().map(decoders::name).collect();
        let is_hex = names == ["hex"] || (names.is_empty() && raw.record.is_by_name());
        let found = match spec.source {
            LabelSource::Key { size, .. } if is_hex && size != bytes => format!("{size} bytes"),
            _ if spec.chain.is_number() => "a number in decimal digits".to_owned(),
            _ => continue,
        };
        let message = format!("the label `{}` can be no identifier", spec.name);
        let problem = Problem::error("span-part", Place::default(), message);
        let expected = format!("{bytes} bytes in hexadecimal digits: `size: {bytes}` and `decoders: [hex]`");
        sink.report(&label.spot, problem.expected(expected).found(found));
    }
}

/// Says of a time that it is no number.
fn number(sink: &mut Sink<'_>, label: &RawLabel, spec: &LabelSpec) {
    let names: Vec<&str> = label.decoders.iter().map(decoders::name).collect();
    if spec.chain.is_number() || names.last().is_none_or(|last| *last != "hex") {
        return;
    }
    let message = format!("the label `{}` is no number of nanoseconds", spec.name);
    let problem = Problem::error("span-part", Place::default(), message);
    let expected = "decimal digits: `size: 8` and `decoders: [uint]`";
    sink.report(&label.spot, problem.expected(expected).found("hexadecimal digits"));
}
