//! Metrics that are made of events, as they are understood.

use bpftally::decode::Canonical;
use bpftally::elf::ObjectInfo;
use bpftally::spec::{Amount, BufferSpec, EventSpec, KeyPart, Spec};

use super::*;

const EVENTS: &str = "
enum kind { KIND_OPEN = 1, KIND_CLOSE = 2 };
struct event { enum kind kind; u32 user; s64 size; u8 low : 3, high : 5; _Bool failed; char comm[16]; };
const struct event *unused_event __attribute__((unused));
struct event_losses { u64 full; u64 limited; u32 odd; };
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } events SEC(\".maps\");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); __uint(pinning, LIBBPF_PIN_BY_NAME); } pinned SEC(\".maps\");
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } execs SEC(\".maps\");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, struct event_losses); } events_losses SEC(\".maps\");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 2); __type(key, u32); __type(value, struct event_losses); } two_losses SEC(\".maps\");
struct event_losses execs_losses[4];
struct event_losses plain = {};
u64 not_losses;
";

fn of_events() -> &'static Object {
    static OBJECT: OnceLock<Object> = OnceLock::new();
    OBJECT.get_or_init(|| Object::of(EVENTS))
}

fn check_events(text: &str) -> Checked {
    check_text(&ConfigFile::new("/configs/test.yaml"), text, &of_events().file(), &options())
}

#[track_caller]
fn spec(metrics: &str) -> Spec {
    let checked = check_events(metrics);
    assert!(checked.problems.is_empty(), "{:#?}", checked.problems);
    checked.spec.unwrap()
}

/// The only metric of a config, and its events.
#[track_caller]
fn counter(keys: &str) -> (MetricSpec, EventSpec) {
    let spec = spec(&format!("metrics: {{counters: [{{name: m, help: h, {keys}}}]}}"));
    let metric = spec.view.metrics.into_iter().next().unwrap();
    let events = metric.events.clone().unwrap();
    (metric, events)
}

#[track_caller]
fn histogram(keys: &str) -> (MetricSpec, EventSpec) {
    let spec = spec(&format!(
        "metrics: {{histograms: [{{name: m, help: h, ringbuf: events, type: event, {keys}}}]}}"
    ));
    let metric = spec.view.metrics.into_iter().next().unwrap();
    let events = metric.events.clone().unwrap();
    (metric, events)
}

#[test]
fn labels_are_parts_of_a_key_of_its_own() {
    let (metric, events) =
        counter("ringbuf: events, type: event, labels: [user, comm, {name: who, field: user}]");
    // By their names, so that they are the same wherever they lie.
    assert_eq!(show(&metric), "ebpf_exporter_m = counter of events:m[20] comm@0+16 user@16+4 who@16+4");
    // Texts end with their first NUL, whatever lies behind it.
    let comm = KeyPart::Text { offset: 18, size: 16, form: Canonical::Text };
    assert_eq!(events.key, [comm, KeyPart::Bytes { offset: 4, size: 4 }]);
    assert_eq!((events.buffer.as_str(), events.amount), ("events", Amount::One));
    let (metric, events) = counter("ringbuf: events, type: struct event, labels: [high, failed]");
    assert_eq!(show(&metric), "ebpf_exporter_m = counter of events:m[9] failed@0+1 high@1+8");
    assert!(matches!(events.key[1], KeyPart::Bits { offset: 16, size: 1, .. }));
    let (metric, events) = counter("ringbuf: events");
    assert_eq!(show(&metric), "ebpf_exporter_m = counter of events:m[4]");
    assert_eq!((events.key, events.conditions), (vec![], vec![]));
}

#[test]
fn what_a_limited_metric_has_no_room_for_is_counted_together() {
    #[track_caller]
    fn check(keys: &str, key_size: usize, entries: usize, rest: bool) {
        let (metric, events) = counter(&format!("ringbuf: events, type: event, {keys}"));
        assert_eq!((metric.key_size, events.max_entries(), events.rest), (key_size, entries, rest), "{keys}");
        assert_eq!(events.key_size(), key_size);
    }
    check("labels: [comm, user]", 20, 65_536, false);
    check("labels: [comm, user], max_series: 50", 20, 65_536, false);
    check("labels: [comm, user], max_series: 50, other: {comm: other}", 21, 50, true);
    check("labels: [comm, user], max_series: 100000, other: {comm: other}", 21, 65_536, true);
    // Several users may have one name: there is room for all of them.
    let named = "labels: [comm, {name: user, decoders: [uid]}]";
    check(&format!("{named}, max_series: 50, other: {{comm: other}}"), 21, 65_536, true);
    // One of two labels is enough to tell them apart.
    let both = "labels: [comm, user, {name: name, field: user, decoders: [uid]}]";
    check(&format!("{both}, max_series: 50, other: {{comm: other}}"), 21, 50, true);
    // As bytes two texts are two keys, whatever lies behind them.
    let (_, events) = counter(
        "ringbuf: events, type: event, labels: [comm, {name: bytes, field: comm, decoders: [hex]}], \
         max_series: 50, other: {comm: other}",
    );
    assert_eq!(events.key, [KeyPart::Bytes { offset: 18, size: 16 }]);
    assert_eq!(events.max_entries(), 50);
}

#[test]
fn labels_by_position_need_not_cover_the_event() {
    for source in ["perf_event_array: true, map: execs", "ringbuf: events"] {
        let (metric, events) = counter(&format!(
            "{source}, labels: [{{name: b, size: 2, padding: 2, decoders: [uint]}}, {{name: a, size: 4, decoders: [uint]}}]"
        ));
        let map = &events.buffer;
        assert_eq!(show(&metric), format!("ebpf_exporter_m = counter of {map}:m[6] a@2+4 b@0+2"));
        assert_eq!(
            events.key,
            [KeyPart::Bytes { offset: 0, size: 2 }, KeyPart::Bytes { offset: 4, size: 4 }]
        );
    }
}

#[test]
fn numbers_are_added_or_observed() {
    let (metric, events) =
        counter("ringbuf: events, type: event, value: size, scale: 0.5, flush_interval: 1h");
    assert_eq!(show(&metric), "ebpf_exporter_m = counter of events:m[4] *0.5 s64");
    assert_eq!(events.amount, Amount::Number(ValueSpec::signed(8, 8)));
    assert_eq!(events.flush, Some(std::time::Duration::from_secs(3600)));
    assert_eq!(counter("ringbuf: events, flush_interval: 0").1.flush, None);
    #[track_caller]
    fn check(keys: &str, shown: &str, expected: &[i128]) {
        let (metric, events) = histogram(keys);
        assert_eq!(show(&metric), format!("ebpf_exporter_m = {shown} of events:m[4]"));
        let Amount::Observed { bounds, .. } = events.amount else { panic!("{:?}", events.amount) };
        assert_eq!(bounds, expected);
    }
    check(
        "observe: user, bucket_type: exp2, bucket_min: -1, bucket_max: 2, bucket_multiplier: 0.001",
        "Exp2 { min: -1, max: 2 }*0.001 5 slots sumu64@40",
        &[0, 1, 2, 4],
    );
    check(
        "observe: size, bucket_type: linear, bucket_min: -1, bucket_max: 1",
        "Linear { min: -1, max: 1 }*1.0 4 slots sums64@32",
        &[-1, 0, 1],
    );
    check(
        "observe: low, bucket_type: fixed, bucket_keys: [-0.5, 2.5, 1e40]",
        "Fixed { keys: [-0.5, 2.5, 1e40] }*1.0 4 slots sumu64@32",
        &[-1, 2, i128::MAX],
    );
    check(
        "observe: user, bucket_type: log2, bucket_max: 3",
        "Log2 { min: 0, max: 3 }*1.0 4 slots sumu64@32",
        &[1, 3, 7],
    );
    check(
        "observe: user, bucket_type: exp2zero, bucket_max: 2",
        "Exp2Zero { min: 0, max: 2 }*1.0 4 slots sumu64@32",
        &[0, 1, 2],
    );
}

#[test]
fn conditions_are_numbers_names_and_booleans() {
    let conditions = |conditions: &str| {
        let (_, events) = counter(&format!("ringbuf: events, type: event, where: {conditions}"));
        events
            .conditions
            .into_iter()
            .map(|condition| (condition.value.offset, condition.any_of))
            .collect::<Vec<_>>()
    };
    assert_eq!(conditions("{kind: KIND_CLOSE}"), [(0, vec![2])]);
    assert_eq!(conditions("{kind: [KIND_CLOSE, 1, 0x2]}"), [(0, vec![1, 2])]);
    assert_eq!(conditions("{failed: no, size: -3}"), [(17, vec![0]), (8, vec![-3])]);
    assert_eq!(conditions("{failed: 1, low: 7}"), [(17, vec![1]), (16, vec![7])]);
    assert_eq!(conditions("{}"), []);
}

/// What is counted is the same as long as names, types and conditions are.
#[test]
fn the_meaning_is_of_names_and_types() {
    let meaning = |keys: &str| counter(&format!("ringbuf: events, type: event, {keys}")).1.meaning;
    let one = meaning("labels: [user, comm], where: {kind: 1, user: [2, 3]}");
    let same = [
        "labels: [comm, user], where: {user: [3, 2], kind: KIND_OPEN}",
        "labels: [{name: c, field: comm, decoders: [hex]}, {name: u, field: user}], where: {kind: 1, user: [2, 3]}",
    ];
    for keys in same {
        assert_eq!(meaning(keys), one);
    }
    for keys in
        ["labels: [user]", "labels: [user, comm]", "labels: [user, comm], value: size, where: {kind: 1}"]
    {
        assert_ne!(meaning(keys), one);
    }
}

#[test]
fn equal_names_count_apart_what_differs() {
    let two = |first: &str, second: &str| {
        let text = format!(
            "metrics: {{counters: [{{name: m, help: h, ringbuf: events, type: event, {first}}}, \
             {{name: m, help: h, ringbuf: events, type: event, {second}}}]}}"
        );
        spec(&text).view.metrics.into_iter().map(|metric| metric.map).collect::<Vec<_>>()
    };
    assert_eq!(two("where: {kind: 1}", "where: {kind: 2}"), ["events:m", "events:m:2"]);
    // That is one metric twice, which is refused when families are settled.
    assert_eq!(two("where: {kind: 1}", "where: {kind: 1}"), ["events:m", "events:m"]);
}

#[test]
fn buffers_are_asked_for_when_they_are_read() {
    let buffer = |map: &str, pages| BufferSpec { map: map.to_owned(), pages };
    let metrics = "metrics: {counters: [{name: a, help: h, ringbuf: events}, {name: execs, help: h, perf_event_array: true}, \
                   {name: b, help: h, ringbuf: events}]}";
    assert_eq!(spec(metrics).load.buffers, [buffer("events", None), buffer("execs", Some(64))]);
    let settings = format!("maps: {{execs: {{pages: 1024}}}}\n{metrics}");
    assert_eq!(spec(&settings).load.buffers, [buffer("events", None), buffer("execs", Some(1024))]);
    assert_eq!(spec("metrics: {counters: []}").load.buffers, []);
}

/// A ring buffer is handed over only when its events are what they were.
#[test]
fn the_type_of_events_belongs_to_the_buffer() {
    let types = |keys: &str| {
        let spec = spec(&format!("metrics: {{counters: [{{name: m, help: h, ringbuf: events{keys}}}]}}"));
        let carried = spec.load.carried.into_iter().find(|map| map.name == "events").unwrap();
        carried.types
    };
    assert_eq!(types(""), types(", labels: [{name: a, size: 4, decoders: [uint]}]"));
    assert_eq!(types(", type: event"), types(", type: struct event, labels: [user]"));
    assert_ne!(types(", type: event"), types(""));
    assert_ne!(types(", type: event"), types(", type: event_losses"));
}

#[test]
fn a_pinned_buffer_has_other_readers() {
    let checked = check_events("metrics: {counters: [{name: m, help: h, ringbuf: pinned}]}");
    assert_eq!(brief(&checked.problems), ["pinned-buffer 1:50 (m)", "no-metric-left -"]);
}

#[test]
fn losses_are_recognised_by_their_type() {
    let losses = spec("metrics: {counters: []}").view.losses;
    let shown: Vec<_> = losses
        .iter()
        .map(|loss| {
            let reasons: Vec<_> =
                loss.reasons.iter().map(|(reason, word)| format!("{reason}@{word}")).collect();
            format!("{} in {} {}*{} {}", loss.source, loss.map, loss.words, loss.elements, reasons.join(" "))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "events in events_losses 3*1 full@0 limited@1",
            "plain in .bss 3*1 full@0 limited@1",
            "execs in .bss 3*4 full@0 limited@1",
        ]
    );
    let info: &ObjectInfo = &of_events().info;
    for loss in &losses[1..] {
        let name = if loss.source == "execs" { "execs_losses" } else { "plain" };
        assert_eq!(info.variable(name).unwrap().offset as usize, loss.offset);
    }
}

#[test]
fn what_is_kept_of_events_can_expire() {
    let metrics =
        "metrics: {counters: [{name: a, help: h, ringbuf: events}, {name: b, help: h, ringbuf: events}]}";
    let expiries = spec(&format!("maps: {{events: {{expire: 1h}}}}\n{metrics}")).view.expiries;
    let shown: Vec<_> = expiries.iter().map(|expiry| (expiry.map.as_str(), expiry.after.as_secs())).collect();
    assert_eq!(shown, [("events:a", 3600), ("events:b", 3600)]);
}
