use super::fire::{Calls, Hook, Race, THREADS, race, turns};
use super::{Following, harmless};
use crate::common::exporter::{value_of, values_of};
use crate::common::folder::Folder;
use crate::common::kernel::with_tracefs;

/// Replacements of an object by another build, for each kind of hook.
const REPLACEMENTS: (u32, u32) = (6, 50);

const UINT: &str = "labels: [{name: k, size: 4, decoders: [{name: uint}]}]";

fn map(kind: &str, name: &str, capacity: u32) -> String {
    format!(
        "struct {{ __uint(type, BPF_MAP_TYPE_{kind}); __uint(max_entries, {capacity}); __type(key, u32); __type(value, u64); }} {name} SEC(\".maps\");\n"
    )
}

/// Adds to the value under an expression.
fn add(map: &str, key: &str, by: u32) -> String {
    format!(
        "{{ u32 at = {key}; u64 zero = 0; u64 *value = bpf_map_lookup_elem(&{map}, &at);
         if (!value) {{ bpf_map_update_elem(&{map}, &at, &zero, BPF_NOEXIST); value = bpf_map_lookup_elem(&{map}, &at); }}
         if (value) __sync_fetch_and_add(value, {by}); }}\n"
    )
}

/// An exporter that reloads only when it is asked to, so that it is known when it does.
#[track_caller]
pub fn follow(folder: Folder) -> Following {
    Following::start(folder, &["--config.watch=off"])
}

/// What was counted, against what happened: nothing is missed, and twice counts at the most what was made
/// while a reload was under way. How much that really is, is told.
#[track_caller]
pub fn check(what: &str, counted: Option<f64>, race: &Race) {
    let counted = counted.expect("the series is there") as u64;
    assert!(counted >= race.fired, "{what}: {counted} of {race:?}");
    let overlap = counted - race.fired;
    println!("{what}: {overlap} of {} counted twice, {} scrapes", race.fired, race.scrapes);
    assert!(overlap <= race.during, "{what}: {counted} of {race:?}");
    assert!(race.scrapes > 0, "{what}: {race:?}");
}

#[test]
fn a_replaced_object_misses_nothing() {
    with_tracefs(|| {
        let turns = turns(REPLACEMENTS.0, REPLACEMENTS.1);
        for hook in Hook::ALL {
            let calls = Calls::new();
            let build = |turn: u32| {
                let body = format!("{}\n{}", harmless(turn % 2), add("m", "key", 1));
                std::fs::read(calls.object(hook, &map("HASH", "m", 64), &body)).unwrap()
            };
            let folder = Folder::new();
            folder.file("m.bpf.o", build(0));
            folder.file("m.yaml", format!("metrics: {{counters: [{{name: m, help: h, {UINT}}}]}}"));
            let following = follow(folder);
            // The series is there from the first scrape on.
            calls.fire(7, 1);
            let series = "ebpf_exporter_m{k=\"7\"}";
            let mut race = race(&following, calls, 7, &[series], turns, |turn| {
                following.put("m.bpf.o", build(turn + 1));
            });
            race.fired += 1;
            assert_eq!(following.reloads("m", "success"), f64::from(turns));
            let what = format!("{}, {turns} replacements, {THREADS} threads", hook.section);
            check(&what, following.exporter.value(series), &race);
            // When nothing is reloaded, nothing counts twice.
            let before = following.exporter.value(series).unwrap();
            calls.fire(7, 1000);
            assert_eq!(following.exporter.value(series), Some(before + 1000.0));
        }
    });
}

#[test]
fn a_changed_view_counts_exactly() {
    let calls = Calls::new();
    let folder = Folder::new();
    let maps = map("HASH", "m", 64) + &map("PERCPU_HASH", "merged", 64);
    let body = add("m", "key", 1) + &add("merged", "key", 1) + &add("merged", "key + 100", 1);
    folder.file("m.bpf.o", std::fs::read(calls.object(Hook::RAW, &maps, &body)).unwrap());
    let yaml = |turn: u32| {
        let decoder = if turn.is_multiple_of(2) {
            "{name: uint}"
        } else {
            "{name: uint}, {name: static_map, static_map: {99: x}, allow_unknown: true}"
        };
        format!(
            "metrics: {{counters: [{{name: m, help: h{turn}, labels: [{{name: k, size: 4, decoders: [{decoder}]}}]}}, \
             {{name: merged, help: h{turn}, labels: [{{name: k, size: 4, decoders: [{{name: uint}}, {{name: static_map, static_map: {{7: x, 107: x, {turn}0000: y}}}}]}}]}}]}}"
        )
    };
    folder.file("m.yaml", yaml(0));
    let following = follow(folder);
    calls.fire(7, 1);
    let all = ["ebpf_exporter_m{k=\"7\"}", "ebpf_exporter_merged{k=\"x\"}"];
    let held = following.held();
    let turns = turns(60, 500);
    let race = race(&following, calls, 7, &all, turns, |turn| {
        following.put("m.yaml", yaml(turn + 1));
    });
    let page = following.exporter.page();
    assert_eq!(value_of(&page, all[0]), Some((race.fired + 1) as f64), "{race:?} {page}");
    assert_eq!(value_of(&page, all[1]), Some((race.fired + 1) as f64 * 2.0), "{race:?} {page}");
    assert_eq!(following.held(), held);
    println!("{turns} views: nothing of {} counted twice, {} scrapes", race.fired, race.scrapes);
}

/// Maps that are too different to be handed over: their totals go on, whether a key counts on or not.
#[test]
fn a_map_of_another_capacity_goes_on_from_the_old_total() {
    let calls = Calls::new();
    let folder = Folder::new();
    let maps = map("HASH", "plain", 64)
        + &map("PERCPU_HASH", "percpu", 64)
        + &map("HASH", "merged", 64)
        + &map("HASH", "observed", 64)
        + &map("ARRAY", "fixed", 16);
    let body = ["plain", "percpu", "fixed"].map(|map| add(map, "key", 1)).concat()
        + &add("merged", "key", 1)
        + &add("merged", "key + 100", 1)
        // Of values up to 1, 2, 4, … the key is the exponent; every call observes 4, and the sum is the last slot.
        + &add("observed", "2", 1)
        + &add("observed", "6", 4);
    folder.file("m.bpf.o", std::fs::read(calls.object(Hook::RAW, &maps, &body)).unwrap());
    let yaml = |turn: u32| {
        let capacities: Vec<String> = ["plain", "percpu", "merged", "observed"]
            .iter()
            .map(|map| format!("{map}: {{max_entries: {}}}", 64 + [0, 100, 10, 300][turn as usize % 4]))
            .collect();
        format!(
            "maps: {{{}, fixed: {{carry: false}}}}\n\
             metrics:\n  counters:\n    - {{name: plain, help: h, {UINT}}}\n    - {{name: percpu, help: h, {UINT}}}\n    - {{name: fixed, help: h, {UINT}}}\n    \
             - {{name: merged, help: h, labels: [{{name: k, size: 4, decoders: [{{name: uint}}, {{name: static_map, static_map: {{3: old, 103: old, 7: x, 107: x}}}}]}}]}}\n  \
             gauges:\n    - {{name: fresh, map: fixed, help: h, {UINT}}}\n  \
             histograms:\n    - {{name: observed, help: h, bucket_type: exp2, bucket_min: 0, bucket_max: 5, labels: [{{name: bucket, size: 4, decoders: [{{name: uint}}]}}]}}\n",
            capacities.join(", ")
        )
    };
    folder.file("m.yaml", yaml(0));
    let following = follow(folder);
    calls.fire(3, 1000);
    calls.fire(7, 1);
    let all = [
        "ebpf_exporter_plain{k=\"7\"}",
        "ebpf_exporter_percpu{k=\"7\"}",
        "ebpf_exporter_fixed{k=\"7\"}",
        "ebpf_exporter_merged{k=\"x\"}",
        "ebpf_exporter_observed_count",
        "ebpf_exporter_observed_sum",
        // These do not count any more.
        "ebpf_exporter_plain{k=\"3\"}",
        "ebpf_exporter_percpu{k=\"3\"}",
        "ebpf_exporter_fixed{k=\"3\"}",
        "ebpf_exporter_merged{k=\"old\"}",
    ];
    let turns = turns(12, 50);
    let mut race = race(&following, calls, 7, &all, turns, |turn| {
        following.put("m.yaml", yaml(turn + 1));
    });
    race.fired += 1;
    let page = following.exporter.page();
    let value = |series: &str| value_of(&page, series);
    for series in &all[..3] {
        check(series, value(series), &race);
    }
    check("merged", value(all[3]).map(|value| value / 2.0), &race);
    check("count", value(all[4]).map(|value| value - 1000.0), &race);
    check("sum", value(all[5]).map(|value| (value - 4000.0) / 4.0), &race);
    for (series, expected) in all[6..].iter().zip([1000.0, 1000.0, 1000.0, 2000.0]) {
        assert_eq!(value(series), Some(expected), "{series} in {page}");
    }
    let capacity = "ebpf_exporter_map_max_entries{config=\"m\",map=\"plain\"}";
    assert_eq!(value(capacity), Some([64.0, 164.0, 74.0, 364.0][turns as usize % 4]), "{page}");
}

/// A map that is to begin anew does, and its counters still do not fall.
#[test]
fn a_map_that_is_not_to_be_carried_is_empty() {
    let calls = Calls::new();
    let folder = Folder::new();
    let build = |turn: u32| {
        let body = harmless(turn) + &add("kept", "key", 1) + &add("anew", "key", 1);
        std::fs::read(calls.object(Hook::RAW, &(map("HASH", "kept", 64) + &map("HASH", "anew", 64)), &body))
            .unwrap()
    };
    let gauge = |map: &str| format!("{{name: {map}_now, map: {map}, help: h, {UINT}}}");
    let counter = |map: &str| format!("{{name: {map}_total, map: {map}, help: h, {UINT}}}");
    let yaml = format!(
        "maps: {{anew: {{carry: false}}}}\nmetrics: {{gauges: [{}, {}], counters: [{}, {}]}}",
        gauge("kept"),
        gauge("anew"),
        counter("kept"),
        counter("anew")
    );
    folder.file("m.yaml", yaml);
    folder.file("m.bpf.o", build(0));
    let following = follow(folder);
    calls.fire(3, 10);
    following.put("m.bpf.o", build(1));
    let said = following.reload_well();
    assert!(said.contains("1 maps go on and 1 begin anew"), "{said}");
    calls.fire(7, 5);
    calls.fire(3, 2);
    let page = following.exporter.page();
    for (name, expected) in [
        ("kept_now", [12.0, 5.0]),
        ("kept_total", [12.0, 5.0]),
        ("anew_now", [2.0, 5.0]),
        ("anew_total", [12.0, 5.0]),
    ] {
        let now = ["3", "7"].map(|k| value_of(&page, &format!("ebpf_exporter_{name}{{k=\"{k}\"}}")));
        assert_eq!(now, expected.map(Some), "{name} in {page}");
    }
}

/// A struct that gains a member is another value, of which the counters that it had go on.
#[test]
fn a_value_may_gain_a_member() {
    let calls = Calls::new();
    let folder = Folder::new();
    let build = |members: &str, more: &str| {
        let maps = format!(
            "struct value {{ {members} }}; struct {{ __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, struct value); }} m SEC(\".maps\");"
        );
        let body = format!(
            "struct value empty = {{}}, *value = bpf_map_lookup_elem(&m, &key);
             if (!value) {{ bpf_map_update_elem(&m, &key, &empty, BPF_NOEXIST); value = bpf_map_lookup_elem(&m, &key); }}
             if (!value) return 0;
             __sync_fetch_and_add(&value->packets, 1); {more}"
        );
        std::fs::read(calls.object(Hook::RAW, &maps, &body)).unwrap()
    };
    let metric = |member: &str| format!("{{name: {member}_total, help: h, map: m, value: {member}, {UINT}}}");
    let yaml = |metrics: &[String]| format!("metrics: {{counters: [{}]}}", metrics.join(", "));
    folder.file("m.bpf.o", build("u64 packets;", ""));
    folder.file("m.yaml", yaml(&[metric("packets")]));
    let following = follow(folder);
    calls.fire(3, 1000);
    calls.fire(7, 1);
    let all = ["ebpf_exporter_packets_total{k=\"7\"}", "ebpf_exporter_packets_total{k=\"3\"}"];
    let mut race = race(&following, calls, 7, &all, 1, |_| {
        following.put(
            "m.bpf.o",
            build("u32 errors; u64 bytes; u64 packets;", "__sync_fetch_and_add(&value->bytes, 100);"),
        );
        following.put("m.yaml", yaml(&[metric("packets"), metric("bytes")]));
    });
    race.fired += 1;
    let page = following.exporter.page();
    check("a new member", value_of(&page, all[0]), &race);
    assert_eq!(value_of(&page, all[1]), Some(1000.0), "{page}");
    let bytes = value_of(&page, "ebpf_exporter_bytes_total{k=\"7\"}").expect("the new member is counted");
    assert!(bytes > 0.0 && bytes % 100.0 == 0.0, "{bytes}");
}

/// Of two configs that share a family one goes: what it counted stays.
#[test]
fn a_shared_family_does_not_fall_with_one_of_its_configs() {
    let calls = Calls::new();
    let folder = Folder::new();
    let object = std::fs::read(calls.object(Hook::RAW, &map("HASH", "m", 64), &add("m", "key", 1))).unwrap();
    for name in ["one", "two"] {
        folder.file(&format!("{name}.bpf.o"), &object);
        folder
            .file(&format!("{name}.yaml"), format!("metrics: {{counters: [{{name: m, help: h, {UINT}}}]}}"));
    }
    let following = follow(folder);
    calls.fire(3, 1000);
    calls.fire(7, 1);
    let all = ["ebpf_exporter_m{k=\"7\"}", "ebpf_exporter_m{k=\"3\"}"];
    let race = race(&following, calls, 7, &all, 1, |_| following.remove("one.yaml"));
    let page = following.exporter.page();
    assert_eq!(value_of(&page, all[1]), Some(2000.0), "{page}");
    // One of them counted all, the other what came until it went.
    let counted = value_of(&page, all[0]).unwrap();
    assert!(
        counted > (race.fired + 1) as f64 && counted <= (race.fired + 1) as f64 * 2.0,
        "{counted} of {race:?}"
    );
    assert_eq!(values_of(&page, "ebpf_exporter_config_loaded").len(), 1, "{page}");
    calls.fire(7, 100);
    assert_eq!(following.exporter.value(all[0]), Some(counted + 100.0));
}
