//! Exact counts of events while everything changes.

use std::sync::atomic::{AtomicU32, Ordering};

use super::counts::{check, follow};
use super::fire::{Calls, Hook, race, turns};
use super::harmless;
use crate::common::exporter::value_of;
use crate::common::folder::Folder;
use crate::exporter::events::{Exec, execs};

/// A buffer with the struct that goes through it, whose members lie elsewhere in every second build.
fn maps(buffer: &str, is_moved: bool, losses: &str) -> String {
    let members = if is_moved { "u64 size; u32 pad; u32 key;" } else { "u32 key; u64 size;" };
    format!(
        "struct event {{ {members} }};
         const struct event *unused_event __attribute__((unused));
         struct event_losses {{ u64 full; u64 calls; }};
         {losses}
         struct {{ {buffer} }} events SEC(\".maps\");"
    )
}

/// Where a program counts its losses: in a variable, which begins anew with each load, or in a map, which goes on.
const VARIABLE: &str = "struct event_losses events_losses;
     static __always_inline struct event_losses *losses(void) { return &events_losses; }";
const MAP: &str = "struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 1);
         __type(key, u32); __type(value, struct event_losses); } events_losses SEC(\".maps\");
     static __always_inline struct event_losses *losses(void) { u32 key = 0; return bpf_map_lookup_elem(&events_losses, &key); }";

const RING: &str = "__uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1048576);";
const ARRAY: &str =
    "__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4);";

fn write(buffer: &str) -> String {
    let output = if buffer == RING {
        "bpf_ringbuf_output(&events, &event, sizeof(event), 0)"
    } else {
        "bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &event, sizeof(event))"
    };
    format!(
        "struct event event = {{ .key = key, .size = 3 }};
         struct event_losses *lost = losses();
         if (!lost) return 0;
         __sync_fetch_and_add(&lost->calls, 1);
         if ({output}) __sync_fetch_and_add(&lost->full, 1);"
    )
}

/// A config that reads the events of either buffer.
fn yaml(buffer: &str, labels: &str) -> String {
    let source = if buffer == RING { "ringbuf: events" } else { "perf_event_array: true, map: events" };
    format!(
        "maps: {{x-none: {{}}}}
metrics:
  counters:
    - {{name: all_total, help: h, {source}, type: event, labels: [{labels}]}}
    - {{name: some_total, help: h, {source}, type: event, where: {{key: [3, 7]}}, value: size}}
  histograms:
    - {{name: sizes, help: h, {source}, type: event, observe: size, bucket_type: exp2, bucket_max: 3, labels: [{labels}]}}
"
    )
    .replace("maps: {x-none: {}}\n", "")
}

const SERIES: [&str; 4] = [
    "ebpf_exporter_all_total{key=\"7\"}",
    "ebpf_exporter_some_total",
    "ebpf_exporter_sizes_bucket{key=\"7\",le=\"4\"}",
    "ebpf_exporter_events_lost_total{config=\"m\",reason=\"calls\",source=\"events\"}",
];

/// What the program could not write, because a machine that is busy reads too slowly: no other event is lost.
#[track_caller]
fn refused(page: &str) -> f64 {
    let lost = |reason: &str| {
        let labels = format!("{{config=\"m\",reason=\"{reason}\",source=\"events\"}}");
        value_of(page, &format!("ebpf_exporter_events_lost_total{labels}"))
    };
    assert_eq!((lost("decode"), lost("series_limit")), (Some(0.0), Some(0.0)), "{page}");
    lost("full").unwrap_or_else(|| panic!("no losses in {page}"))
}

/// Buffers that go on, and buffers that are given up, because their events lie otherwise or their kind never goes on.
#[test]
fn a_replaced_object_misses_no_event() {
    for (buffer, is_moving, losses) in [
        (RING, false, VARIABLE),
        (RING, true, MAP),
        (RING, false, MAP),
        (ARRAY, false, MAP),
        (ARRAY, true, VARIABLE),
    ] {
        let calls = Calls::new();
        let build = |turn: u32| {
            let body = format!("{}\n{}", harmless(turn % 2), write(buffer));
            let maps = maps(buffer, is_moving && turn % 2 == 1, losses);
            std::fs::read(calls.object(Hook::RAW, &maps, &body)).unwrap()
        };
        let folder = Folder::new();
        folder.file("m.bpf.o", build(0));
        folder.file("m.yaml", yaml(buffer, "key"));
        let following = follow(folder);
        calls.fire(7, 1);
        let turns = turns(6, 50);
        let mut race = race(&following, calls, 7, &SERIES, turns, |turn| {
            following.put("m.bpf.o", build(turn + 1));
        });
        race.fired += 1;
        let what = format!("{}, moving {is_moving}", buffer.split(',').next_back().unwrap());
        let page = following.exporter.page();
        assert_eq!(following.reloads("m", "success"), f64::from(turns), "{what}");
        let [all, some, sizes, told] = SERIES.map(|series| value_of(&page, series));
        let written = all.map(|all| all + refused(&page));
        check(&what, written, &race);
        // Each event is one, and every metric saw the same.
        assert_eq!((some, sizes, told), (all.map(|all| all * 3.0), all, written), "{what}");
        calls.fire(7, 1000);
        let page = following.exporter.page();
        let now = value_of(&page, SERIES[0]).map(|all| all + refused(&page));
        assert_eq!(now, written.map(|written| written + 1000.0), "{what}");
        assert_eq!(value_of(&page, SERIES[3]), now, "{what}");
    }
}

#[test]
fn a_changed_view_counts_each_event_once() {
    let calls = Calls::new();
    let folder = Folder::new();
    folder.file(
        "m.bpf.o",
        std::fs::read(calls.object(Hook::RAW, &maps(RING, false, VARIABLE), &write(RING))).unwrap(),
    );
    // Decoders change and labels come and go, so that tallies go on or begin anew.
    let labels = [
        "key",
        "{name: key, decoders: [{name: static_map, static_map: {9: x}, allow_unknown: true}]}",
        "{name: key, decoders: [uint]}",
    ];
    folder.file("m.yaml", yaml(RING, labels[0]));
    let following = follow(folder);
    calls.fire(7, 1);
    let held = following.held();
    let turns = turns(40, 400);
    let race = race(&following, calls, 7, &SERIES[..3], turns, |turn| {
        following.put("m.yaml", yaml(RING, labels[(turn as usize + 1) % 3]));
    });
    let fired = (race.fired + 1) as f64;
    let page = following.exporter.page();
    let read = fired - refused(&page);
    assert_eq!(value_of(&page, SERIES[0]), Some(read), "{race:?} {page}");
    assert_eq!(value_of(&page, SERIES[1]), Some(read * 3.0), "{race:?} {page}");
    assert_eq!(value_of(&page, SERIES[2]), Some(read), "{race:?} {page}");
    assert_eq!(following.held(), held);
}

/// What is counted in another way begins anew, and its series go on from what they said.
#[test]
fn series_go_on_when_their_tally_does_not() {
    let calls = Calls::new();
    let folder = Folder::new();
    folder.file(
        "m.bpf.o",
        std::fs::read(calls.object(Hook::RAW, &maps(RING, false, VARIABLE), &write(RING))).unwrap(),
    );
    let yaml = |condition: &str| {
        format!(
            "metrics: {{counters: [{{name: m_total, help: h, ringbuf: events, type: event, labels: [key]{condition}}}]}}"
        )
    };
    folder.file("m.yaml", yaml(""));
    let following = follow(folder);
    let said =
        || [3, 7].map(|key| following.exporter.value(&format!("ebpf_exporter_m_total{{key=\"{key}\"}}")));
    let both = |times| [3, 7].iter().for_each(|key| calls.fire(*key, times));
    both(10);
    assert_eq!(said(), [Some(10.0), Some(10.0)]);
    for (condition, expected) in [
        (", where: {key: 7}", [10.0, 20.0]),
        (", where: {key: 3}", [20.0, 20.0]),
        ("", [30.0, 30.0]),
        (", value: size", [60.0, 60.0]),
    ] {
        following.put("m.yaml", yaml(condition));
        following.reload_well();
        both(10);
        assert_eq!(said(), expected.map(Some), "{condition}");
    }
}

/// The first metric of a buffer, the last one, and a buffer of another size.
#[test]
fn buffers_come_and_go_with_their_metrics() {
    let calls = Calls::new();
    let folder = Folder::new();
    folder.file(
        "m.bpf.o",
        std::fs::read(calls.object(Hook::RAW, &maps(RING, false, VARIABLE), &write(RING))).unwrap(),
    );
    let with = yaml(RING, "key");
    folder.file("m.yaml", "metrics: {counters: []}");
    let following = follow(folder);
    let events = "ebpf_exporter_events_total{config=\"m\",source=\"events\"}";
    calls.fire(7, 10);
    assert_eq!(following.exporter.value(events), None);
    following.put("m.yaml", &with);
    following.reload_well();
    calls.fire(7, 10);
    // What was written before belongs to nobody: it can be older than anybody remembers.
    assert_eq!(following.exporter.value(events), Some(10.0));
    assert_eq!(following.exporter.value(SERIES[0]), Some(10.0));
    following.put("m.yaml", format!("maps: {{events: {{max_entries: 65536}}}}\n{with}"));
    following.reload_well();
    calls.fire(7, 10);
    assert_eq!(following.exporter.value(events), Some(20.0));
    assert_eq!(following.exporter.value(SERIES[0]), Some(20.0));
    following.put("m.yaml", "metrics: {counters: []}");
    following.reload_well();
    assert_eq!(following.exporter.value(events), None);
    calls.fire(7, 10);
    let threads = || {
        let names = std::fs::read_dir(format!("/proc/{}/task", following.exporter.pid())).unwrap();
        let name = |task: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap_or_default()
        };
        names.map(name).filter(|name| name.trim() == "events").count()
    };
    let deadline = std::time::Instant::now() + super::PATIENCE;
    while threads() > 0 {
        assert!(std::time::Instant::now() < deadline, "the thread stays");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn every_exec_is_counted_through_reloads() {
    let folder = Folder::new();
    let (config, object) = execs();
    folder.pair("execs", config, &object);
    let following = follow(folder);
    let program = Exec::new();
    let ran = AtomicU32::new(0);
    let mut during = 0;
    std::thread::scope(|scope| {
        let runner = scope.spawn(|| {
            for _ in 0..2000 {
                program.run(1);
                ran.fetch_add(1, Ordering::Relaxed);
            }
        });
        for turn in 0..4 {
            while ran.load(Ordering::Relaxed) < 300 * (turn + 1) {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            let name =
                format!("{}# {turn}\nmaps: {{exec_events: {{pages: {}}}}}\n", config, 64 << (turn % 2 + 1));
            following.put("execs.yaml", name);
            let before = ran.load(Ordering::Relaxed);
            following.reload_well();
            during += ran.load(Ordering::Relaxed) - before + 1;
        }
        runner.join().unwrap();
    });
    assert_eq!(following.reloads("execs", "success"), 4.0);
    let counted = program.counted(&following.exporter.page()).unwrap();
    println!("{counted} of 2000, {during} during reloads");
    assert!((2000.0..=2000.0 + f64::from(during)).contains(&counted), "{counted}, {during} during reloads");
}
