//! OTLP's messages: the request with its spans, and what collectors answer.

use super::protobuf::{Fields, Value, Writer};
use super::queue::Pending;
use super::span::Span;

/// `SPAN_KIND_INTERNAL`.
const INTERNAL: u64 = 1;
/// The trace flag `sampled`: nothing is sampled here.
const SAMPLED: u32 = 1;

/// What the spans of a batch have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Resource {
    /// `service.name` of spans whose config names none.
    pub(super) service: String,
    /// Without `service.name`.
    pub(super) attributes: Vec<(String, String)>,
}

/// An `ExportTraceServiceRequest`, with the spans of each service below a resource of its own.
pub(super) fn request(resource: &Resource, batch: &[Pending]) -> Vec<u8> {
    let mut services: Vec<&str> = batch.iter().map(|pending| service(resource, pending)).collect();
    services.sort_unstable();
    services.dedup();
    let mut writer = Writer::default();
    for name in services {
        let spans = batch.iter().filter(|pending| service(resource, pending) == name);
        writer.message(1, |resource_spans| {
            resource_spans.message(1, |inner| {
                attribute(inner, 1, "service.name", name);
                for (key, value) in &resource.attributes {
                    attribute(inner, 1, key, value);
                }
            });
            resource_spans.message(2, |scope_spans| {
                scope_spans.message(1, |scope| {
                    scope.bytes(1, env!("CARGO_PKG_NAME").as_bytes());
                    scope.bytes(2, env!("CARGO_PKG_VERSION").as_bytes());
                });
                for pending in spans {
                    scope_spans.message(2, |inner| span(inner, &pending.span));
                }
            });
        });
    }
    writer.into_bytes()
}

fn service<'a>(resource: &'a Resource, pending: &'a Pending) -> &'a str {
    pending.service.as_deref().unwrap_or(&resource.service)
}

fn span(writer: &mut Writer, span: &Span) {
    writer.bytes(1, &span.trace_id.0);
    writer.bytes(2, &span.span_id.0);
    if let Some(parent) = span.parent {
        writer.bytes(4, &parent.0);
    }
    writer.bytes(5, span.name.as_bytes());
    writer.varint(6, INTERNAL);
    writer.fixed64(7, span.start);
    writer.fixed64(8, span.end);
    for (key, value) in &span.attributes {
        attribute(writer, 9, key, value);
    }
    writer.fixed32(16, SAMPLED);
}

/// A `KeyValue` with a text.
fn attribute(writer: &mut Writer, field: u64, key: &str, value: &str) {
    writer.message(field, |pair| {
        pair.bytes(1, key.as_bytes());
        pair.message(2, |any| any.bytes(1, value.as_bytes()));
    });
}

/// What a collector did not take of a batch that it accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Partial {
    pub(super) rejected: u64,
    pub(super) message: String,
}

/// Reads an `ExportTraceServiceResponse`; one that cannot be read says nothing.
pub(super) fn partial(response: &[u8]) -> Partial {
    let mut partial = Partial::default();
    let inner = Fields(response).find_map(|field| match field {
        (1, Value::Bytes(bytes)) => Some(bytes),
        _ => None,
    });
    for field in inner.map(Fields).into_iter().flatten() {
        match field {
            (1, Value::Number(count)) => partial.rejected = u64::try_from(count.cast_signed()).unwrap_or(0),
            (2, Value::Bytes(bytes)) => partial.message = String::from_utf8_lossy(bytes).into_owned(),
            _ => {}
        }
    }
    partial
}

/// The message of a `google.rpc.Status`, with which collectors say why they refuse.
pub(super) fn status_message(body: &[u8]) -> Option<String> {
    Fields(body).find_map(|field| match field {
        (2, Value::Bytes(bytes)) => String::from_utf8(bytes.to_vec()).ok(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::span::{SpanId, TraceId};
    use super::*;

    fn pending(service: Option<&str>, name: &str) -> Pending {
        let span = Span {
            trace_id: TraceId([1; 16]),
            span_id: SpanId([2; 8]),
            parent: Some(SpanId([3; 8])),
            name: name.to_owned(),
            start: 5,
            end: 7,
            attributes: vec![("cause".into(), "page fault".to_owned())],
        };
        Pending { span, service: service.map(Into::into), tally: std::sync::Arc::default() }
    }

    fn inner(bytes: &[u8], field: u64) -> Vec<Vec<u8>> {
        let found = Fields(bytes).filter_map(|(number, value)| match value {
            Value::Bytes(bytes) if number == field => Some(bytes.to_vec()),
            _ => None,
        });
        found.collect()
    }

    #[test]
    fn spans_stand_below_the_resource_of_their_service() {
        let resource =
            Resource { service: "own".to_owned(), attributes: vec![("zone".to_owned(), "a".to_owned())] };
        let batch = [pending(None, "one"), pending(Some("exec"), "two"), pending(Some("own"), "three")];
        let resources = inner(&request(&resource, &batch), 1);
        let mut found = Vec::new();
        for bytes in &resources {
            let attributes: Vec<String> =
                inner(&inner(bytes, 1)[0], 1).iter().map(|pair| text(&inner(pair, 2)[0], 1)).collect();
            let scopes = inner(bytes, 2);
            let names: Vec<String> = inner(&scopes[0], 2).iter().map(|span| text(span, 5)).collect();
            found.push((attributes, names));
        }
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            found,
            [(texts(&["exec", "a"]), texts(&["two"])), (texts(&["own", "a"]), texts(&["one", "three"]))]
        );
    }

    fn text(bytes: &[u8], field: u64) -> String {
        String::from_utf8(inner(bytes, field)[0].clone()).unwrap()
    }

    #[test]
    fn a_span_without_a_parent_has_none() {
        let mut orphan = pending(None, "one");
        orphan.span.parent = None;
        let mut writer = Writer::default();
        span(&mut writer, &orphan.span);
        assert!(inner(&writer.into_bytes(), 4).is_empty());
    }

    #[track_caller]
    fn check_partial(response: &[u8], rejected: u64, message: &str) {
        assert_eq!(partial(response), Partial { rejected, message: message.to_owned() });
    }

    #[test]
    fn a_partial_success_says_how_many_and_why() {
        check_partial(b"", 0, "");
        check_partial(b"\x0a\x07\x08\x05\x12\x03old", 5, "old");
        check_partial(b"\x0a\x05\x12\x03old", 0, "old");
        // An unknown field before it, a negative count, and no message at all.
        check_partial(b"\x10\x01\x0a\x02\x08\x05", 5, "");
        check_partial(b"\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 0, "");
        check_partial(b"not protobuf", 0, "");
    }

    #[test]
    fn a_refusal_says_why() {
        assert_eq!(status_message(b"\x08\x03\x12\x03bad").as_deref(), Some("bad"));
        assert_eq!(status_message(b"\x08\x03"), None);
        assert_eq!(status_message(b"<html>"), None);
    }
}
