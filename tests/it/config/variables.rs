//! Metrics that are read from global variables: what they become, and what cannot be read.

use bpftally::spec::Area;

use super::*;

const SOURCE: &str = r#"
enum mode { MODE_OFF, MODE_ON = 5, MODE_NEGATIVE = -3 };
struct counts { u64 packets; u32 bytes; s16 balance; u32 low:3, high:5; };
struct stats { u64 total; struct counts by_protocol[4]; struct { u8 seen; } inner; };
struct latency { u32 slots[10]; u64 sum; u64 count; };

u64 padding;
u64 total_events;
u32 an_u32;
s8 an_s8;
_Bool flag;
enum mode mode;
float single;
double twice;
struct stats stats;
struct counts cores[8];
u64 flat[16];
u64 grid[2][3];
u32 rows_of_slots[2][10];
struct latency latency;
struct latency latencies[3];
u32 slots[10];
u64 *pointer;
char text[8];
__int128 wide;
static volatile u64 hidden_count;
u64 invisible __attribute__((visibility("hidden")));
u64 in_data = 7;
const volatile u64 limit = 9;
u64 own SEC(".bss.own");
u64 far SEC(".data.very_long_name_one");
u64 near SEC(".data.very_long_name_two");
extern int CONFIG_HZ __kconfig;
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, u64); } hash SEC(".maps");

SEC("raw_tp/sched_switch") int all(void *ctx)
{
    u32 cpu = bpf_get_smp_processor_id();
    padding++; total_events++; an_u32++; an_s8--; flag = 1; mode = MODE_ON; stats.total++; stats.inner.seen = 1;
    *(volatile u32 *)&single = 1; *(volatile u64 *)&twice = 1; cores[cpu & 7].packets++; flat[cpu & 15]++;
    grid[cpu & 1][0]++; rows_of_slots[0][cpu & 7]++; latency.sum++; latencies[cpu & 1].sum++; slots[cpu & 7]++;
    pointer = 0; text[0] = 1; *(volatile u64 *)&wide = 1; hidden_count++; invisible++; in_data++; own++; far++; near++;
    return limit + CONFIG_HZ;
}
"#;

fn object() -> &'static Object {
    static OBJECT: OnceLock<Object> = OnceLock::new();
    OBJECT.get_or_init(|| Object::of(SOURCE))
}

fn checked(text: &str) -> Checked {
    check_text(&ConfigFile::new("/configs/test.yaml"), text, &object().file(), &options())
}

fn metrics(group: &str, keys: &str) -> String {
    format!("metrics: {{{group}: [{{name: n, help: h, {keys}}}]}}\n")
}

/// The one metric of a config with which nothing is wrong.
#[track_caller]
fn good(group: &str, keys: &str) -> MetricSpec {
    let checked = checked(&metrics(group, keys));
    assert_eq!(brief(&checked.problems), [""; 0], "{keys}: {:#?}", checked.problems);
    checked.spec.unwrap().view.metrics.remove(0)
}

/// Bytes of a variable's section before it.
fn before(variable: &str) -> usize {
    object().info.variable(variable).unwrap().offset as usize
}

/// A number that is read with all others of its section, so many bytes behind the beginning of a variable.
#[track_caller]
fn check(keys: &str, variable: &str, offset: usize, width: usize, kind: ValueKind) {
    let metric = good("gauges", keys);
    let found = object().info.variable(variable).unwrap();
    let map: String = found.section.chars().take(15).collect();
    assert_eq!((metric.map, metric.key_size, metric.labels.len()), (map, 4, 0), "{keys}");
    assert_eq!(metric.area, Some(Area { offset: 0, size: 64 << 10, rows: 1, lanes: 1 }), "{keys}");
    assert_eq!(metric.value, ValueSpec { offset: before(variable) + offset, width, kind }, "{keys}");
}

#[test]
fn every_number_is_read_as_its_type_says() {
    check("global: total_events", "total_events", 0, 8, ValueKind::Unsigned);
    check("global: an_u32", "an_u32", 0, 4, ValueKind::Unsigned);
    check("global: an_s8", "an_s8", 0, 1, ValueKind::Signed);
    check("global: flag", "flag", 0, 1, ValueKind::Unsigned);
    check("global: mode", "mode", 0, 4, ValueKind::Signed);
    check("global: single", "single", 0, 4, ValueKind::Float);
    check("global: twice", "twice", 0, 8, ValueKind::Float);
    check("global: in_data", "in_data", 0, 8, ValueKind::Unsigned);
    check("global: limit", "limit", 0, 8, ValueKind::Unsigned);
    check("global: hidden_count", "hidden_count", 0, 8, ValueKind::Unsigned);
    check("global: invisible", "invisible", 0, 8, ValueKind::Unsigned);
    check("global: own", "own", 0, 8, ValueKind::Unsigned);
}

#[test]
fn members_are_reached_by_paths() {
    check("global: stats.total", "stats", 0, 8, ValueKind::Unsigned);
    check("global: stats, value: total", "stats", 0, 8, ValueKind::Unsigned);
    check("global: 'stats.by_protocol[2].bytes'", "stats", 8 + 2 * 16 + 8, 4, ValueKind::Unsigned);
    check("global: 'stats.by_protocol[1]', value: balance", "stats", 8 + 16 + 12, 2, ValueKind::Signed);
    check("global: stats.inner", "stats", 8 + 4 * 16, 1, ValueKind::Unsigned);
    check("global: 'flat[3]'", "flat", 24, 8, ValueKind::Unsigned);
    let bits = ValueKind::Bits(Bits { shift: 3, width: 5, signed: false });
    check("global: 'stats.by_protocol[0].high'", "stats", 8 + 14, 1, bits);
    check("global: 'stats.by_protocol[0]', value: high", "stats", 8 + 14, 1, bits);
}

#[test]
fn an_array_has_its_index_as_key_or_is_one_number() {
    let area = |metric: &MetricSpec| metric.area.unwrap();
    let metric = good("counters", "global: flat, labels: [core]");
    assert_eq!(area(&metric), Area { offset: before("flat"), size: 8, rows: 16, lanes: 1 });
    assert_eq!(metric.labels[0].source, LabelSource::Key { offset: 0, size: 4 });
    assert_eq!(metric.value, ValueSpec::unsigned(0, 8));
    let metric = good("counters", "global: flat, labels: [{name: core, size: 4, decoders: [{name: uint}]}]");
    assert_eq!((area(&metric).rows, metric.key_size), (16, 4));
    let metric = good("counters", "global: cores, value: bytes, labels: [{name: cpu}]");
    assert_eq!(area(&metric), Area { offset: before("cores"), size: 16, rows: 8, lanes: 1 });
    assert_eq!((metric.value, metric.reduce), (ValueSpec::unsigned(8, 4), Reduce::Sum));
    let metric = good("counters", "global: stats.by_protocol, value: packets, labels: [protocol]");
    assert_eq!(area(&metric), Area { offset: before("stats") + 8, size: 16, rows: 4, lanes: 1 });
    let metric = good("counters", "global: flat");
    assert_eq!(area(&metric), Area { offset: before("flat"), size: 8, rows: 1, lanes: 16 });
    assert_eq!((metric.labels.len(), metric.reduce), (0, Reduce::Sum));
    let metric = good("gauges", "global: cores, value: balance, reduce: max");
    assert_eq!(area(&metric), Area { offset: before("cores"), size: 16, rows: 1, lanes: 8 });
    assert_eq!((metric.value, metric.reduce), (ValueSpec::signed(12, 2), Reduce::Max));
    let metric = good(
        "counters",
        "global: 'grid[1]', labels: [{name: x, decoders: [{name: static_map, static_map: {0: a, 1: b, 2: c}}]}]",
    );
    assert_eq!(area(&metric), Area { offset: before("grid") + 24, size: 8, rows: 3, lanes: 1 });
}

#[test]
fn histograms_are_slots_of_variables() {
    let log2 = "bucket_type: exp2, bucket_max: 8";
    let single = |keys: &str| {
        let metric = good("histograms", keys);
        let MetricKind::Histogram(histogram) = metric.kind else { panic!("{keys}") };
        let Slots::Array(array) = histogram.slots else { panic!("{keys}") };
        (metric.area.unwrap(), metric.value, array)
    };
    let (area, first, array) =
        single(&format!("global: latency, slots: slots, sum: sum, count: count, {log2}"));
    let at = before("latency");
    assert_eq!((area.rows, area.lanes, first), (1, 1, ValueSpec::unsigned(at, 4)));
    assert_eq!(array.sum, Some(ValueSpec::unsigned(at + 40, 8)));
    assert_eq!((array.count, array.length), (Some(ValueSpec::unsigned(at + 48, 8)), 10));
    let (_, first, array) = single(&format!("global: slots, slots: '', {log2}"));
    assert_eq!((first, array.length), (ValueSpec::unsigned(before("slots"), 4), 10));
    let (area, first, _) =
        single(&format!("global: latencies, slots: slots, sum: sum, labels: [kind], {log2}"));
    assert_eq!((area.rows, area.size, first), (3, 56, ValueSpec::unsigned(0, 4)));
    let (area, ..) = single(&format!("global: latencies, slots: slots, {log2}"));
    assert_eq!((area.rows, area.lanes), (1, 3));
    let (area, first, array) = single(&format!("global: rows_of_slots, slots: '', labels: [row], {log2}"));
    assert_eq!((area.rows, area.size, first, array.length), (2, 40, ValueSpec::unsigned(0, 4), 10));
    // Each element is a slot.
    for keys in ["bucket: slot", "labels: [slot]"] {
        let metric = good("histograms", &format!("global: slots, {keys}, {log2}"));
        assert!(metric.kind.slot().is_some() && metric.labels.is_empty(), "{keys}");
        assert_eq!(metric.area.map(|area| area.rows), Some(10));
    }
}

#[track_caller]
fn bad(group: &str, keys: &str, expected: &str, words: &str) {
    let checked = checked(&metrics(group, keys));
    let codes: Vec<&str> = checked.problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, [expected, "no-metric-left"], "{keys}: {:#?}", checked.problems);
    let problem = &checked.problems[0];
    let story = format!("{problem:#}");
    assert!(story.contains(words), "{words:?} is not in {story}");
    assert!(problem.expected.is_some() || problem.help.is_some(), "no advice: {story}");
    assert!(problem.place.position.is_some(), "{story}");
    assert_eq!(problem.place.map, None, "{story}");
}

#[test]
fn what_is_no_number_of_the_objects_own_is_refused() {
    for (keys, code, words) in [
        ("global: total_event", "missing-variable", "did you mean `total_events`?"),
        ("global: hash", "missing-variable", "`map` names the map"),
        (
            "global: CONFIG_HZ",
            "global-extern",
            "cannot be read: it is an option of the kernel's configuration",
        ),
        ("global: pointer", "global-type", "is no number"),
        ("global: text", "global-type", "`char[8]`"),
        ("global: wide", "global-type", "an integer, bool"),
        ("global: grid, labels: [a]", "global-type", "`grid[0]`"),
        ("global: grid", "global-type", "an array of arrays"),
        ("global: stats", "missing-value", "`value` must name the number"),
        ("global: stats.totl", "missing-member", "did you mean `total`?"),
        ("global: 'flat[16]'", "missing-member", "[16]"),
        ("global: 'stats..total'", "missing-member", "a path from one"),
        ("global: total_events, labels: [a]", "global-labels", "remove `labels`"),
        ("global: total_events, value: x", "unknown-member", "leave the path out"),
        ("global: 'stats.by_protocol[0].high', value: x", "unknown-member", "remove `value`"),
        ("global: cores, labels: [cpu]", "missing-value", "`packets`"),
        ("global: flat, labels: [{name: a, size: 8, decoders: [{name: uint}]}]", "key-size", "4 bytes"),
        ("global: total_events, map: hash", "two-sources", "remove one of the two"),
        ("global: [a]", "wrong-type", "text"),
        ("global: far", "ambiguous-variable", ".data.very_long_name_two"),
    ] {
        bad("gauges", keys, code, words);
    }
    bad("counters", "global: limit", "constant-variable", "show it as a gauge");
    let log2 = "bucket_type: exp2, bucket_max: 8";
    bad(
        "histograms",
        &format!("global: total_events, bucket: a, {log2}"),
        "global-labels",
        "remove `bucket`",
    );
    bad("histograms", &format!("global: latency, slots: total, {log2}"), "unknown-member", "`total`");
}

/// What the object sets would be counted with each load.
#[test]
fn a_counter_that_does_not_begin_with_zero_is_told() {
    let told = |group: &str| {
        let checked = checked(&metrics(group, "global: in_data"));
        assert!(checked.spec.is_some());
        brief(&checked.problems)
    };
    assert_eq!(told("counters"), ["?counter-begins 1:49 (n)"]);
    assert_eq!(told("gauges"), [""; 0]);
}

/// Without a value the key means nothing, so that a merged mapping can take it back.
#[test]
fn null_is_not_given() {
    let checked = checked("metrics: {counters: [{name: hash, help: h, global: ~, labels: [key]}]}\n");
    assert_eq!(brief(&checked.problems), [""; 0]);
    assert_eq!(checked.spec.unwrap().view.metrics[0].area, None);
}

/// Two variables of a section are two things, the same one twice is not.
#[test]
fn a_family_of_variables_counts_none_twice() {
    let of = |one: &str, other: &str| {
        let metric = |keys: &str| format!("{{name: n, help: h, {keys}}}");
        let text = format!("metrics: {{counters: [{}, {}]}}\n", metric(one), metric(other));
        let mut specs = vec![checked(&text).spec.unwrap()];
        let problems = bpftally::config::settle_families(&mut specs);
        problems.iter().map(|problem| problem.code).collect::<Vec<_>>()
    };
    assert_eq!(of("global: total_events", "global: padding"), [""; 0]);
    assert_eq!(of("global: flat", "global: cores, value: packets"), [""; 0]);
    assert_eq!(of("global: total_events", "global: total_events"), ["duplicate-metric"]);
}
