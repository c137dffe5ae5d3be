//! Spans: `tracing: {spans: [...]}`.

use super::fields::join;
use super::keys::{Key, Keys, Shape};
use super::{Group, RawSpan, Reader, label, metric};
use crate::config::yaml::Node;

pub(super) const TRACING: Keys = Keys {
    what: "`tracing`",
    example: "`tracing: {spans: [...]}`",
    known: &[&[Key::new("spans", Shape::List(&Shape::Mapping(&SPAN)), "Spans that ring buffers bring")]],
    later: &[],
};

const SPAN: Keys = Keys {
    what: "a span",
    example: "{ringbuf: exec_spans, labels: [...]}",
    known: &[&[
        Key::required("ringbuf", Shape::Text, "The ring buffer, each record of which is a span"),
        Key::new(
            "name",
            Shape::Text,
            "What spans are called that do not say it; else the ring buffer's name",
        ),
        Key::new("service", Shape::Text, "The service that they belong to; else OTEL_SERVICE_NAME"),
        Key::new("type", Shape::Text, "The struct that records are, by its name in the object"),
        Key::new("where", Shape::Anything, "Members with the values that count, one or a list"),
        Key::new("labels", Shape::List(&Shape::TextOr(&label::KEYS)), "How records become spans"),
    ]],
    later: &[],
};

/// Reads all spans. A list that is given again replaces the first; none when there is no list.
pub(super) fn spans(reader: &mut Reader, node: &Node, path: &str) -> Option<Vec<RawSpan>> {
    let mut spans = None;
    for field in reader.fields(node, path, &TRACING) {
        let path = join(path, field.name);
        if field.value.is_null() {
            spans = None;
            continue;
        }
        let items = reader.list(field.value, &path, "spans").unwrap_or_default().iter().enumerate();
        spans = Some(items.map(|(index, item)| span(reader, item, &format!("{path}[{index}]"))).collect());
    }
    spans
}

/// Reads one; its problems cost it alone.
fn span(reader: &mut Reader, node: &Node, path: &str) -> RawSpan {
    let mark = reader.mark();
    let mut raw = RawSpan { name: None, service: None, record: metric::empty(Group::Counters, node, path) };
    for field in reader.fields(node, path, &SPAN) {
        let path = join(path, field.name);
        let node = field.value;
        match field.name {
            "name" => raw.name = reader.text(node, &path),
            "service" => raw.service = reader.text(node, &path),
            _ => metric::read_field(reader, &mut raw.record, &field, &path),
        }
        // Null is "not given".
        if !node.is_null() {
            raw.record.given.push(field.name.to_owned());
        }
    }
    let called = raw.called().map_or_else(|| path.to_owned(), ToOwned::to_owned);
    raw.record.broken = reader.blame(mark, &called);
    raw.record.strange = raw.record.broken && raw.record.given.is_empty();
    raw
}
