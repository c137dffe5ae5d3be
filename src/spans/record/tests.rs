use super::*;
use crate::decode::Params;
use crate::host::{Host, Roots};
use crate::problem::Place;
use crate::snapshot::Bits;
use crate::spec::{Condition, LabelSpec, ValueSpec};

const NOW: Now = Now { wall: 1_700_000_000_000_000_000, monotonic: 500_000_000_000 };

/// A label with one decoder.
fn label(name: &str, offset: usize, size: usize, decoder: &str) -> LabelSpec {
    let host = Arc::new(Host::new(Roots::default()));
    let params = Params { regexps: vec!["^kept".to_owned()], ..Params::default() };
    let chain = Chain::build(&[(decoder.to_owned(), params)], size, &host).unwrap();
    LabelSpec {
        name: name.to_owned(),
        source: LabelSource::Key { offset, size },
        chain: Arc::new(chain),
        path: String::new(),
        position: None,
    }
}

fn spec(labels: Vec<LabelSpec>) -> SpanSpec {
    let (name, map) = ("exec".to_owned(), "spans".to_owned());
    SpanSpec { name, map, service: None, conditions: Vec::new(), labels, place: Place::default() }
}

/// The layout of the reference's `span_base_t`, with one attribute behind it.
fn base() -> Vec<LabelSpec> {
    vec![
        label("trace_id", 0, 16, "hex"),
        label("parent_span_id", 16, 8, "hex"),
        label("span_id", 24, 8, "hex"),
        label("span_monotonic_timestamp_ns", 32, 8, "uint"),
        label("span_duration_ns", 40, 8, "uint"),
        label("lol", 48, 8, "string"),
        label("span_name", 56, 8, "string"),
    ]
}

fn decode(labels: Vec<LabelSpec>, record: &[u8]) -> Result<Span, Dropped> {
    let mut next = 0x40;
    let mut count = |bytes: &mut [u8]| {
        bytes.fill(next);
        next += 1;
    };
    Decoder::new("trace", &spec(labels)).span(record, NOW, &mut count)
}

/// A record of [`base`]: trace, parent, span, start, duration.
fn record(trace: u8, parent: u8, span: u8, start: u64, duration: u64) -> Vec<u8> {
    let mut record = vec![trace; 16];
    record.extend([parent; 8]);
    record.extend([span; 8]);
    record.extend(start.to_ne_bytes());
    record.extend(duration.to_ne_bytes());
    record.extend(b"haha\0\0\0\0potato\0\0");
    record
}

fn attributes(span: &Span) -> Vec<(&str, &str)> {
    span.attributes.iter().map(|(key, value)| (key.as_ref(), value.as_str())).collect()
}

#[test]
fn a_record_says_everything_of_its_span() {
    let span = decode(base(), &record(0xbe, 0xfe, 0xed, NOW.monotonic - 7, 4_041_727)).unwrap();
    assert_eq!(span.trace_id, TraceId([0xbe; 16]));
    assert_eq!(span.parent, Some(SpanId([0xfe; 8])));
    assert_eq!(span.span_id, SpanId([0xed; 8]));
    assert_eq!((span.start, span.end), (NOW.wall - 7, NOW.wall - 7 + 4_041_727));
    assert_eq!(span.name, "potato");
    assert_eq!(attributes(&span), [("lol", "haha"), ("ebpf_exporter.config", "trace")]);
}

#[test]
fn what_a_record_does_not_say_is_made_up_or_comes_from_the_config() {
    let span = decode(Vec::new(), b"anything").unwrap();
    assert_eq!((span.trace_id, span.span_id), (TraceId([0x40; 16]), SpanId([0x41; 8])));
    assert_eq!((span.parent, span.name.as_str()), (None, "exec"));
    assert_eq!((span.start, span.end), (NOW.wall, NOW.wall));
    assert_eq!(attributes(&span), [("ebpf_exporter.config", "trace")]);
}

#[test]
fn spans_of_zero_are_made_up_and_traces_of_zero_are_lost() {
    let span = decode(base(), &record(1, 0, 0, 0, 0)).unwrap();
    assert_eq!((span.span_id, span.parent), (SpanId([0x40; 8]), None));
    assert_eq!(decode(base(), &record(0, 1, 1, 0, 0)), Err(Dropped::TraceId));
}

#[test]
fn bytes_behind_the_labels_do_not_count_and_missing_ones_lose_the_span() {
    let mut long = record(1, 1, 1, 0, 0);
    long.extend([9; 100]);
    assert!(decode(base(), &long).is_ok());
    let short = record(1, 1, 1, 0, 0);
    assert_eq!(decode(base(), &short[..short.len() - 1]), Err(Dropped::TooShort));
    assert_eq!(decode(base(), b""), Err(Dropped::TooShort));
}

#[test]
fn the_monotonic_clock_reaches_both_ways() {
    let start = |monotonic| decode(base(), &record(1, 1, 1, monotonic, 0)).unwrap().start;
    assert_eq!(start(NOW.monotonic), NOW.wall);
    assert_eq!(start(NOW.monotonic + 60_000_000_000), NOW.wall + 60_000_000_000);
    assert_eq!(start(0), NOW.wall - NOW.monotonic);
    assert_eq!(start(u64::MAX), u64::MAX);
    let span = decode(base(), &record(1, 1, 1, NOW.monotonic, u64::MAX)).unwrap();
    assert_eq!(span.end, u64::MAX);
}

#[test]
fn parts_that_are_not_what_they_have_to_be_lose_the_span() {
    let one = |name: &str, decoder: &str, bytes: &[u8]| {
        decode(vec![label(name, 0, bytes.len(), decoder)], bytes).map(|span| span.name)
    };
    assert_eq!(one("trace_id", "hex", &[1; 8]), Err(Dropped::TraceId));
    assert_eq!(one("trace_id", "uint", &[1; 8]), Err(Dropped::TraceId));
    assert_eq!(one("span_id", "hex", &[1; 4]), Err(Dropped::Decode));
    assert_eq!(one("parent_span_id", "string", b"nonsense"), Err(Dropped::Decode));
    assert_eq!(one("span_duration_ns", "int", &[0xff; 8]), Err(Dropped::Decode));
    assert_eq!(one("span_monotonic_timestamp_ns", "string", b"soon"), Err(Dropped::Decode));
    assert_eq!(one("any", "regexp", b"other"), Err(Dropped::Skipped));
    assert_eq!(one("any", "regexp", b"kept"), Ok("exec".to_owned()));
    // An identifier may as well be text.
    assert_eq!(one("span_id", "string", b"00000000000000ab"), Ok("exec".to_owned()));
}

#[test]
fn texts_of_the_kernel_need_not_be_utf_8() {
    let span = decode(vec![label("comm", 0, 4, "string")], b"a\xffb\0").unwrap();
    assert_eq!(attributes(&span)[0], ("comm", "a\u{fffd}b"));
}

#[test]
fn bit_fields_are_labels_too() {
    let mut flags = label("flags", 0, 8, "uint");
    flags.source = LabelSource::Bits { offset: 1, size: 1, bits: Bits { shift: 2, width: 3, signed: false } };
    let span = decode(vec![flags], &[0, 0b0001_0100]).unwrap();
    assert_eq!(attributes(&span)[0], ("flags", "5"));
}

#[test]
fn conditions_tell_kinds_of_records_apart() {
    let conditions = vec![Condition { value: ValueSpec::unsigned(4, 1), any_of: vec![2, 7] }];
    let spec = SpanSpec { conditions, ..spec(vec![label("a", 0, 2, "uint")]) };
    let decoder = Decoder::new("trace", &spec);
    assert_eq!(decoder.needs(), 5);
    for (kind, expected) in [(1, false), (2, true), (7, true), (8, false)] {
        assert_eq!(decoder.is_meant(&[0, 0, 0, 0, kind]), expected, "{kind}");
    }
    // Whether one that is too short was meant nobody knows: it is lost.
    assert!(decoder.is_meant(&[0, 0, 0, 0]));
}
