//! Spans, and what is wrong with them.

use bpftally::spec::SpanSpec;

use super::*;

/// One span in words: its name, map and service, and where each label's bytes are.
fn show_span(span: &SpanSpec) -> String {
    let labels = span.labels.iter().map(|label| match label.source {
        LabelSource::Key { offset, size } => format!(" {}@{offset}+{size}", label.name),
        LabelSource::Bits { offset, bits, .. } => {
            format!(" {}@{offset}.{}+{}", label.name, bits.shift, bits.width)
        }
        LabelSource::Cpu => format!(" {}@cpu", label.name),
    });
    let service = span.service.as_deref().unwrap_or("-");
    format!("{} of {} for {service}:{}", span.name, span.map, labels.collect::<String>())
}

/// The text is served, and its spans mean this.
#[track_caller]
fn check(text: &str, problems: &[&str], expected: &[&str]) {
    let checked = checked(text);
    assert_eq!(brief(&checked.problems), problems, "{:#?}\n{text}", checked.problems);
    let shown: Vec<String> = checked.spec.unwrap().view.spans.iter().map(show_span).collect();
    assert_eq!(shown, expected, "{text}");
}

/// The reference's `span_base_t`, as its examples lay labels over it.
const BASE: &str = "
      - name: trace_id
        size: 16
        decoders:
          - name: hex
      - name: parent_span_id
        size: 8
        decoders:
          - name: hex
      - name: span_id
        size: 8
        decoders:
          - name: hex
      - name: span_monotonic_timestamp_ns
        size: 8
        decoders:
          - name: uint
      - name: span_duration_ns
        size: 8
        decoders:
          - name: uint
";

#[test]
fn spans_of_the_reference_are_read() {
    let text = format!(
        "tracing:\n  spans:\n    - name: exec\n      ringbuf: ring\n      service: exec-trace\n      labels:{BASE}      \
         - name: span_name\n        size: 64\n        decoders:\n          - name: string\n"
    );
    let expected = "exec of ring for exec-trace: trace_id@0+16 parent_span_id@16+8 span_id@24+8 \
                    span_monotonic_timestamp_ns@32+8 span_duration_ns@40+8 span_name@48+64";
    check(&text, &[], &[expected]);
}

#[test]
fn everything_but_the_buffer_may_be_left_out() {
    check("tracing: {spans: [{ringbuf: ring}]}", &[], &["ring of ring for -:"]);
    check("tracing: {spans: [{ringbuf: ring, name: '', service: ''}]}", &[], &["ring of ring for -:"]);
    check("tracing: {spans: []}", &[], &[]);
    check("metrics: {counters: [{name: array, help: h}]}\ntracing:\n", &[], &[]);
}

#[test]
fn attributes_have_any_name_and_padding_is_skipped() {
    let labels =
        "[{name: http.method, size: 1, padding: 3, decoders: [uint]}, {name: a b, size: 4, decoders: [hex]}]";
    let text = format!("tracing: {{spans: [{{ringbuf: ring, labels: {labels}}}]}}");
    check(&text, &[], &["ring of ring for -: http.method@0+1 a b@4+4"]);
}

#[test]
fn labels_without_a_name_of_their_own_are_left_out() {
    let labels = "[{name: a, size: 1, decoders: [uint]}, {size: 2, decoders: [uint]}, {name: a, size: 4, decoders: [uint]}]";
    let text = format!("tracing: {{spans: [{{ringbuf: ring, labels: {labels}}}]}}");
    let told = ["?missing-name 1:82 (ring)", "?duplicate-label 1:118 (ring)"];
    check(&text, &told, &["ring of ring for -: a@3+4"]);
}

#[test]
fn labels_are_members_of_a_type() {
    let labels = "[comm, {name: span_id, field: time}, {name: n, field: low}]";
    let text = format!(
        "tracing: {{spans: [{{ringbuf: ring, type: mixed, where: {{operation: [1, 2]}}, labels: {labels}}}]}}"
    );
    check(&text, &[], &["ring of ring for -: comm@16+8 span_id@8+8 n@24+2"]);
    let spec = checked(&text).spec.unwrap();
    let span = &spec.view.spans[0];
    assert_eq!(span.conditions[0].any_of, [1, 2]);
    // An identifier has the digits of one, though its member is a number.
    let mut text = Vec::new();
    span.labels[1].chain.decode(&[0xab; 8], &mut text, &mut Vec::new()).unwrap();
    assert_eq!(text, b"abababababababab");
    assert_eq!(spec.load.buffers.len(), 1);
}

#[test]
fn one_that_is_wrong_costs_itself_alone() {
    let text = "tracing:\n  spans:\n  - {ringbuf: ring, name: good}\n  - {ringbuf: rink, name: bad}\n";
    check(text, &["missing-map 4:15 (bad)"], &["good of ring for -:"]);
    let text = "metrics: {counters: [{name: nothing, help: h}]}\ntracing: {spans: [{ringbuf: ring}]}\n";
    check(text, &["missing-map 1:29 (nothing)"], &["ring of ring for -:"]);
}

#[test]
fn a_list_that_is_given_again_replaces_the_first() {
    let text = "tracing: {spans: [{ringbuf: ring, name: a}], spans: [{ringbuf: ring, name: b}]}";
    check(text, &["?duplicate-key 1:46"], &["b of ring for -:"]);
}
