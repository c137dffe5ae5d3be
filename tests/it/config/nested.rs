//! Maps of maps: what labels can be, and what is said of those that cannot.

use super::*;

const TYPES: &str = "struct place { u32 tenant; u32 zone; }; struct pair { u32 one; u32 other; };
struct inner { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, struct pair); __type(value, u64); };
struct plain { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 3); __type(key, u32); __type(value, u64); };
struct events { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); };
struct { __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS); __uint(max_entries, 16); __type(key, struct place); __array(values, struct inner); } outer SEC(\".maps\");
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 16); __type(key, u32); __array(values, struct plain); } rows SEC(\".maps\");
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 16); __uint(key_size, 4); __array(values, struct events); } rings SEC(\".maps\");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } flat SEC(\".maps\");
struct place a_place; struct pair a_pair;";

fn checked(metric: &str) -> Checked {
    let text = format!("metrics:\n  counters:\n    - {{name: m, help: h, {metric}}}\n");
    check_text(&ConfigFile::new("/configs/test.yaml"), &text, &Object::of(TYPES).file(), &options())
}

#[track_caller]
fn check(metric: &str, expected: &str) {
    let checked = checked(metric);
    assert_eq!(brief(&checked.problems), [""; 0], "{:#?}", checked.problems);
    assert_eq!(show(&checked.spec.unwrap().view.metrics[0]), expected);
}

#[track_caller]
fn check_refused(metric: &str, expected: &str) {
    let checked = checked(metric);
    let first = checked.problems.first().map(|problem| {
        let help = problem.help.as_deref().unwrap_or_default();
        format!("{}: {}; {help}", problem.code, problem.message)
    });
    assert_eq!(first.as_deref(), Some(expected), "{:#?}", checked.problems);
}

#[test]
fn labels_are_members_of_both_keys() {
    check(
        "map: outer, labels: [{name: tenant, outer: true}, {name: z, outer: true, field: zone}, one, {name: two, field: other}]",
        "ebpf_exporter_m = counter of outer[16] one@8+4 tenant@0+4 two@12+4 z@4+4",
    );
    check(
        "map: outer, labels: [{name: one, outer: false}]",
        "ebpf_exporter_m = counter of outer[16] one@8+4",
    );
    check(
        "map: rows, labels: [{name: row, outer: true}, index, cpu]",
        "ebpf_exporter_m = counter of rows[8] cpu@cpu index@4+4 row@0+4 Split",
    );
    check(
        "map: rows, labels: [{name: row, outer: true}, cpu]",
        "ebpf_exporter_m = counter of rows[8] cpu@cpu row@0+4 Split",
    );
    check(
        "map: outer, labels: [{name: tenant, size: 4, padding: 4, decoders: [{name: uint}]}, {name: one, size: 4, padding: 4, decoders: [{name: uint}]}]",
        "ebpf_exporter_m = counter of outer[16] one@8+4 tenant@0+4",
    );
    check(
        "map: rows, labels: [{name: row, size: 4, decoders: [{name: uint}]}, {name: index, size: 4, decoders: [{name: uint}]}, {name: cpu, size: 2, decoders: [{name: uint}]}]",
        "ebpf_exporter_m = counter of rows[8] cpu@cpu index@4+4 row@0+4 Split",
    );
}

#[test]
fn mistakes_are_explained() {
    check_refused(
        "map: outer",
        "key-size: `outer` holds maps, whose entries labels have to tell apart; by name, what no label names is summed",
    );
    check_refused(
        "map: rows, labels: [cpu]",
        "key-size: `rows` holds maps, whose entries labels have to tell apart; by name, what no label names is summed",
    );
    check_refused(
        "map: outer, labels: [tenant]",
        "unknown-field: the inner key has no member `tenant`, but the outer key has; add `outer: true`",
    );
    check_refused(
        "map: outer, labels: [{name: one, outer: true}]",
        "unknown-field: the outer key has no member `one`, but the inner key has; remove `outer`",
    );
    check_refused(
        "map: outer, labels: [{name: three, outer: true}]",
        "unknown-field: the outer key of `outer` has no member `three`; members there are: tenant, zone",
    );
    check_refused(
        "map: flat, labels: [{name: k, outer: true}]",
        "no-outer-key: `flat` is no map of maps, so that there is no outer key; remove `outer`",
    );
    check_refused(
        "map: rings, labels: [{name: k, outer: true}]",
        "map-kind: the map `rings` cannot be read by keys; it is a stream, not a table: count in a hash map instead",
    );
    check_refused(
        "map: outer, labels: [{name: tenant, size: 6, decoders: [{name: hex}]}, {name: rest, size: 10, decoders: [{name: hex}]}]",
        "key-size: the label `rest` is a part of the outer key and of the inner one; a `size` or a `padding` before it is wrong",
    );
    check_refused(
        "map: outer, labels: [{name: tenant, size: 4, decoders: [{name: uint}]}]",
        "key-size: the labels do not cover the key of `outer`; 12 bytes have no label: skip them with `padding` on the label before them",
    );
    check_refused(
        "map: outer, labels: [{name: a, size: 4, outer: true, decoders: [{name: uint}]}]",
        "mixed-labels: labels by name and by position in one metric; either each label has a `size`, or none has",
    );
}
