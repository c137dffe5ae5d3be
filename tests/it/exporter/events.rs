//! Metrics that are made of events, with exact values.

use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use super::Workload;
use crate::common::exporter::{Exporter, value_of, values_of};
use crate::common::folder::Folder;
use crate::common::objects::compile;

/// A ring buffer of so many bytes, and the struct that goes through it.
fn ring(bytes: u32) -> String {
    format!(
        "enum kind {{ KIND_OPEN = 1, KIND_CLOSE = 2 }};
         struct event {{ enum kind kind; u32 user; u64 size; _Bool failed; char comm[16]; }};
         const struct event *unused_event __attribute__((unused));
         struct event_losses {{ u64 ring_full; u64 unlucky; }};
         struct {{ __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, {bytes}); }} events SEC(\".maps\");
         struct {{ __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 1); __type(key, u32);
                   __type(value, struct event_losses); }} events_losses SEC(\".maps\");
         static u64 turn;"
    )
}

/// Events in turn: kinds 1 and 2, users 0 to 4, sizes 0 to 39, every tenth failed.
const WRITE: &str = "u64 seen = __sync_fetch_and_add(&turn, 1);
    u32 zero = 0;
    struct event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
    if (!event) {
        struct event_losses *losses = bpf_map_lookup_elem(&events_losses, &zero);
        if (losses) __sync_fetch_and_add(&losses->ring_full, 1);
        return 0;
    }
    event->kind = 1 + seen % 2; event->user = seen % 5; event->size = seen % 40; event->failed = seen % 10 == 0;
    __builtin_memset(event->comm, 0, 16); event->comm[0] = 'a' + seen % 3;
    bpf_ringbuf_submit(event, 0);";

const YAML: &str = "metrics:
  counters:
    - {name: all_total, help: h, ringbuf: events}
    - {name: by_user_total, help: h, ringbuf: events, type: event, labels: [user, kind]}
    - {name: opened_total, help: h, ringbuf: events, type: struct event, where: {kind: KIND_OPEN}, labels: [comm]}
    - {name: good_bytes_total, help: h, ringbuf: events, type: event, where: {failed: false, user: [1, 2]}, value: size, scale: 0.5, labels: [user]}
    - {name: by_place_total, help: h, ringbuf: events, labels: [{name: kind, size: 4, decoders: [uint]}, {name: user, size: 4, decoders: [uint, {name: static_map, static_map: {0: root}, allow_unknown: true}]}]}
  histograms:
    - {name: sizes, help: h, ringbuf: events, type: event, observe: size, bucket_type: fixed, bucket_keys: [0, 9.5, 20], bucket_multiplier: 0.001, labels: [failed]}
    - {name: powers, help: h, ringbuf: events, type: event, observe: size, bucket_type: exp2, bucket_max: 4}
    - {name: lines, help: h, ringbuf: events, type: event, where: {kind: 2}, observe: size, bucket_type: linear, bucket_min: 10, bucket_max: 12}
";

#[track_caller]
fn check(page: &str, expected: &[(&str, f64)]) {
    for (series, value) in expected {
        assert_eq!(value_of(page, &format!("ebpf_exporter_{series}")), Some(*value), "{series}: {page}");
    }
}

#[test]
fn a_ring_buffer_gives_several_metrics() {
    let calls = Workload::new();
    let folder = Folder::new();
    folder.pair("events", YAML, &calls.object(&ring(1 << 20), WRITE));
    let exporter = Exporter::start(&[&folder.argument()]);
    calls.fire(4000);
    let page = exporter.page();
    let log = exporter.log();
    assert!(!log.contains("level=warn") && !log.contains("level=error"), "{log}");
    check(
        &page,
        &[
            ("all_total", 4000.0),
            ("by_user_total{kind=\"KIND_OPEN\",user=\"0\"}", 400.0),
            ("by_user_total{kind=\"KIND_CLOSE\",user=\"4\"}", 400.0),
            ("opened_total{comm=\"a\"}", 667.0),
            ("opened_total{comm=\"c\"}", 667.0),
            // Of each 40 sizes those of users 1 and 2 that did not fail: no tenth is theirs.
            ("good_bytes_total{user=\"1\"}", 100.0 * 0.5 * f64::from(1 + 6 + 11 + 16 + 21 + 26 + 31 + 36)),
            ("by_place_total{kind=\"1\",user=\"root\"}", 400.0),
            ("sizes_bucket{failed=\"true\",le=\"0\"}", 100.0),
            ("sizes_bucket{failed=\"true\",le=\"0.0095\"}", 100.0),
            ("sizes_bucket{failed=\"true\",le=\"0.02\"}", 300.0),
            ("sizes_bucket{failed=\"true\",le=\"+Inf\"}", 400.0),
            ("sizes_count{failed=\"false\"}", 3600.0),
            ("sizes_bucket{failed=\"false\",le=\"0.0095\"}", 900.0),
            ("sizes_sum{failed=\"true\"}", 6.0),
            ("powers_bucket{le=\"1\"}", 200.0),
            ("powers_bucket{le=\"16\"}", 1700.0),
            ("powers_sum", 78_000.0),
            ("powers_count", 4000.0),
            ("lines_bucket{le=\"10\"}", 500.0),
            ("lines_bucket{le=\"12\"}", 600.0),
            ("lines_count", 2000.0),
            ("events_total{config=\"events\",source=\"events\"}", 4000.0),
            ("events_lost_total{config=\"events\",reason=\"ring_full\",source=\"events\"}", 0.0),
            ("events_lost_total{config=\"events\",reason=\"unlucky\",source=\"events\"}", 0.0),
            ("events_lost_total{config=\"events\",reason=\"decode\",source=\"events\"}", 0.0),
        ],
    );
    assert_eq!(values_of(&page, "ebpf_exporter_events_unread_bytes").len(), 1);
}

/// Keeps a process from running until it is dropped.
struct Stopped(Pid);

impl Stopped {
    fn new(exporter: &Exporter) -> Self {
        let process = Pid::from_raw(exporter.pid() as i32).unwrap();
        kill_process(process, Signal::STOP).unwrap();
        // Until all of its threads stand still.
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", exporter.pid())).unwrap();
        while !state().contains(") T ") {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Self(process)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        kill_process(self.0, Signal::CONT).unwrap();
    }
}

/// What a page says of losses, by the reason.
fn lost(page: &str, source: &str, reason: &str) -> f64 {
    let series = format!(
        "ebpf_exporter_events_lost_total{{config=\"events\",reason=\"{reason}\",source=\"{source}\"}}"
    );
    value_of(page, &series).unwrap_or_else(|| panic!("{series} is not in {page}"))
}

#[test]
fn what_a_stalled_ring_buffer_refuses_is_counted_and_it_recovers() {
    let calls = Workload::new();
    let folder = Folder::new();
    folder.pair("events", YAML, &calls.object(&ring(64 << 10), WRITE));
    let exporter = Exporter::start(&[&folder.argument()]);
    let mut fired = 0;
    for turn in 0..3 {
        let stopped = Stopped::new(&exporter);
        calls.fire(5000);
        drop(stopped);
        fired += 5000;
        let page = exporter.page();
        let (counted, refused) =
            (value_of(&page, "ebpf_exporter_all_total").unwrap(), lost(&page, "events", "ring_full"));
        assert_eq!(counted + refused, f64::from(fired), "turn {turn}");
        // 48 bytes of 64 KiB each, with their headers.
        assert!(refused >= f64::from((turn + 1) * (5000 - 1366)), "turn {turn}: {refused}");
        // It goes on as if nothing had been.
        calls.fire(100);
        fired += 100;
        let page = exporter.page();
        assert_eq!(lost(&page, "events", "ring_full"), refused, "turn {turn}");
        assert_eq!(
            value_of(&page, "ebpf_exporter_all_total"),
            Some(f64::from(fired) - refused),
            "turn {turn}"
        );
    }
}

#[test]
fn bytes_that_wait_are_told() {
    let calls = Workload::new();
    let folder = Folder::new();
    // Nobody is woken: the events wait until somebody looks.
    let write = WRITE.replace("bpf_ringbuf_submit(event, 0)", "bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP)");
    folder.pair("events", YAML, &calls.object(&ring(1 << 20), &write));
    let exporter = Exporter::start(&[&folder.argument()]);
    let series = "ebpf_exporter_events_unread_bytes{config=\"events\",source=\"events\"}";
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let mut fired = 0;
    loop {
        calls.fire(10);
        fired += 10;
        let page = exporter.page();
        // Whether they waited or were read by the way: each is counted by the end of the scrape.
        assert_eq!(value_of(&page, "ebpf_exporter_all_total"), Some(f64::from(fired)));
        let waited = value_of(&page, series).unwrap();
        assert!(waited % 48.0 == 0.0 && waited <= 480.0, "{waited}");
        if waited == 480.0 {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "they never wait");
    }
}

/// An array of performance events, written to from one CPU.
fn perf() -> String {
    "struct event { u32 user; u32 size; };
     const struct event *unused_event __attribute__((unused));
     struct event_losses { u64 refused; };
     struct event_losses execs_losses;
     struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } execs SEC(\".maps\");
     static u64 turn;"
        .to_owned()
}

const OUTPUT: &str = "struct event event = { turn % 3, 10 };
    __sync_fetch_and_add(&turn, 1);
    if (bpf_perf_event_output(ctx, &execs, BPF_F_CURRENT_CPU, &event, sizeof(event)))
        __sync_fetch_and_add(&execs_losses.refused, 1);";

#[test]
fn what_performance_events_lose_is_told_by_both_sides() {
    let calls = Workload::new();
    let folder = Folder::new();
    let yaml = "maps: {execs: {pages: 2}}
metrics:
  counters:
    - {name: execs, help: h, perf_event_array: true, labels: [{name: user, size: 4, decoders: [uint]}]}
    - {name: bytes_total, help: h, perf_event_array: true, map: execs, type: event, value: size}
";
    folder.pair("events", yaml, &calls.object(&perf(), OUTPUT));
    let exporter = Exporter::start(&[&folder.argument()]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // The kernel tells of lost events with the next one of the same CPU.
            let mut cpus = rustix::thread::CpuSet::new();
            let own = rustix::thread::sched_getaffinity(None).unwrap();
            cpus.set((0..rustix::thread::CpuSet::MAX_CPU).find(|cpu| own.is_set(*cpu)).unwrap());
            rustix::thread::sched_setaffinity(None, &cpus).unwrap();
            calls.fire(30);
            let page = exporter.page();
            assert_eq!(value_of(&page, "ebpf_exporter_execs{user=\"2\"}"), Some(10.0), "{page}");
            assert_eq!(value_of(&page, "ebpf_exporter_bytes_total"), Some(300.0));
            let stopped = Stopped::new(&exporter);
            calls.fire(3000);
            drop(stopped);
            let page = exporter.page();
            let refused = lost(&page, "execs", "refused");
            assert!(refused > 2000.0, "{refused}");
            calls.fire(1);
            let page = exporter.page();
            assert_eq!(lost(&page, "execs", "refused"), refused);
            assert_eq!(lost(&page, "execs", "buffer_full"), refused);
            assert_eq!(value_of(&page, "ebpf_exporter_bytes_total"), Some((3031.0 - refused) * 10.0));
            let source = "{config=\"events\",source=\"execs\"}";
            assert_eq!(
                value_of(&page, &format!("ebpf_exporter_events_total{source}")),
                Some(3031.0 - refused)
            );
        });
    });
}

/// More label sets than an exporter holds for one metric.
#[test]
fn a_metric_of_too_many_series_loses_the_rest_and_says_so() {
    let calls = Workload::new();
    let folder = Folder::new();
    let write = WRITE.replace("event->user = seen % 5", "event->user = seen");
    let yaml = "metrics:
  counters:
    - {name: all_total, help: h, ringbuf: events}
    - {name: by_user_total, help: h, ringbuf: events, type: event, labels: [user], max_series: 10, other: {}}
    - {name: each_user_total, help: h, ringbuf: events, type: event, labels: [user], max_series: 10}
  histograms:
    - {name: sizes, help: h, ringbuf: events, type: event, observe: size, bucket_type: exp2, bucket_max: 4, labels: [user], max_series: 10, other: {}}
";
    folder.pair("events", yaml, &calls.object(&ring(8 << 20), &write));
    let exporter = Exporter::start(&[&folder.argument()]);
    calls.fire(70_000);
    let page = exporter.page();
    assert_eq!(value_of(&page, "ebpf_exporter_all_total"), Some(70_000.0));
    // With a series for the rest nothing is lost, and no more is kept than is published.
    assert_eq!(value_of(&page, "ebpf_exporter_by_user_total{user=\"9\"}"), Some(1.0));
    assert_eq!(value_of(&page, "ebpf_exporter_by_user_total{user=\"other\"}"), Some(70_000.0 - 10.0));
    assert_eq!(value_of(&page, "ebpf_exporter_sizes_count{user=\"other\"}"), Some(70_000.0 - 10.0));
    assert_eq!(value_of(&page, "ebpf_exporter_sizes_sum{user=\"other\"}"), Some(39.0 * 20.0 * 1750.0 - 45.0));
    let fill = "{config=\"events\",map=\"events:by_user_total\"}";
    assert_eq!(value_of(&page, &format!("ebpf_exporter_map_entries{fill}")), Some(11.0));
    assert_eq!(value_of(&page, &format!("ebpf_exporter_map_nearly_full{fill}")), None);
    // Without one it is lost, and says so.
    assert_eq!(lost(&page, "events", "series_limit"), 70_000.0 - 65_536.0);
    let fill = "{config=\"events\",map=\"events:each_user_total\"}";
    assert_eq!(value_of(&page, &format!("ebpf_exporter_map_entries{fill}")), Some(65_536.0));
    assert_eq!(value_of(&page, &format!("ebpf_exporter_map_nearly_full{fill}")), Some(1.0));
    // With room for more the same ones stay, and the rest goes on.
    folder.file("events.yaml", yaml.replace("max_series: 10", "max_series: 20"));
    let reloads = "ebpf_exporter_config_reloads_total{config=\"events\",result=\"success\"}";
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while exporter.value(reloads) != Some(1.0) {
        assert!(std::time::Instant::now() < deadline, "{}", exporter.log());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    calls.fire(100);
    let page = exporter.page();
    for series in ["by_user_total", "sizes_count"] {
        let of = |user: &str| value_of(&page, &format!("ebpf_exporter_{series}{{user=\"{user}\"}}"));
        assert_eq!([of("9"), of("70009"), of("other")], [Some(1.0), Some(1.0), Some(70_000.0 + 80.0)]);
        assert_eq!(values_of(&page, &format!("ebpf_exporter_{series}")).len(), 21);
    }
}

#[test]
fn all_series_begin_anew_when_they_are_flushed() {
    let calls = Workload::new();
    let folder = Folder::new();
    let yaml = "metrics:
  counters:
    - {name: kept_total, help: h, ringbuf: events}
    - {name: direct_total, help: h, ringbuf: events, type: event, labels: [user], flush_interval: 2s}
    - {name: merged_total, help: h, ringbuf: events, type: event, flush_interval: 2s,
       labels: [{name: user, decoders: [{name: static_map, static_map: {0: few, 1: few}, allow_unknown: true}]}]}
";
    folder.pair("events", yaml, &calls.object(&ring(1 << 20), WRITE));
    let exporter = Exporter::start(&[&folder.argument()]);
    let series = ["ebpf_exporter_direct_total{user=\"1\"}", "ebpf_exporter_merged_total{user=\"few\"}"];
    let mut turns = [0; 2];
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let (mut fired, mut last) = (0.0, [0.0; 2]);
    while turns.iter().any(|turns| *turns < 2) {
        assert!(std::time::Instant::now() < deadline, "never flushed: {turns:?}");
        calls.fire(5);
        fired += 5.0;
        let page = exporter.page();
        assert_eq!(value_of(&page, "ebpf_exporter_kept_total"), Some(fired));
        for ((series, last), (turns, each)) in
            series.iter().zip(&mut last).zip(turns.iter_mut().zip([1.0, 2.0]))
        {
            let now = value_of(&page, series).unwrap_or(0.0);
            if now == *last + each {
                // It goes on.
            } else {
                // It may have been in the middle of these events.
                assert!(now < *last && now <= each, "{series} is {now} after {last}");
                *turns += 1;
            }
            *last = now;
        }
    }
}

/// What is gone makes room.
#[test]
fn what_is_kept_of_events_expires() {
    let calls = Workload::new();
    let folder = Folder::new();
    let yaml = "maps: {events: {expire: 1s}}
metrics:
  counters:
    - {name: each_total, help: h, ringbuf: events, type: event, labels: [user]}
";
    folder.pair("events", yaml, &calls.object(&ring(1 << 20), WRITE));
    let exporter = Exporter::start(&[&folder.argument()]);
    calls.fire(100);
    assert_eq!(exporter.values("ebpf_exporter_each_total").len(), 5);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !exporter.values("ebpf_exporter_each_total").is_empty() {
        assert!(std::time::Instant::now() < deadline, "{}", exporter.page());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let taken = "ebpf_exporter_map_expired_entries_total{config=\"events\",map=\"events:each_total\"}";
    assert_eq!(exporter.value(taken), Some(5.0));
    calls.fire(5);
    let events = "ebpf_exporter_events_total{config=\"events\",source=\"events\"}";
    assert_eq!(exporter.value(events), Some(105.0));
}

fn resident(exporter: &Exporter) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/statm", exporter.pid())).unwrap();
    let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size() as u64
}

/// A million more events, of which a page is asked for now and then, leave the memory as it was. `all` counts them, and
/// what the program could not write is the loss of that name.
#[track_caller]
fn check_growth(yaml: &str, maps: &str, write: &str, all: &str, refused: (&str, &str)) {
    let calls = Workload::new();
    let folder = Folder::new();
    folder.pair("events", yaml, &calls.object(maps, write));
    let exporter = Exporter::start(&[&folder.argument()]);
    let fire = |times: u64| {
        for _ in 0..times / 50_000 {
            calls.fire(50_000);
            exporter.page();
        }
    };
    fire(200_000);
    let early = resident(&exporter);
    fire(1_000_000);
    let late = resident(&exporter);
    let page = exporter.page();
    let counted = value_of(&page, all).unwrap_or_else(|| panic!("{all} is not in {page}"));
    assert_eq!(counted + lost(&page, refused.0, refused.1), 1_200_000.0, "{all}");
    assert!(counted > 600_000.0, "{all}: {counted}");
    assert!(
        late < early + (4 << 20),
        "{all}: resident after 200,000 events {early} bytes, after 1,200,000 {late}"
    );
}

#[test]
fn a_million_events_leave_nothing_in_memory() {
    check_growth(YAML, &ring(4 << 20), WRITE, "ebpf_exporter_all_total", ("events", "ring_full"));
}

#[test]
fn a_million_performance_events_leave_nothing_in_memory() {
    let yaml = "maps: {execs: {pages: 512}}
metrics:
  counters:
    - {name: execs_total, map: execs, help: h, perf_event_array: true, labels: [{name: user, size: 4, decoders: [uint]}]}
    - {name: bytes_total, map: execs, help: h, perf_event_array: true, type: event, value: size, scale: 0.1}
";
    check_growth(yaml, &perf(), OUTPUT, "ebpf_exporter_bytes_total", ("execs", "refused"));
}

/// Of keys that never come again as many are kept as there is room for, and the others are lost, each once.
#[test]
fn a_million_keys_leave_what_there_is_room_for() {
    let write = WRITE.replace("event->user = seen % 5", "event->user = seen");
    let yaml = "metrics:
  counters:
    - {name: all_total, help: h, ringbuf: events}
    - {name: by_user_total, help: h, ringbuf: events, type: event, labels: [user], max_series: 10, other: {}}
    - {name: by_place_total, help: h, ringbuf: events, type: event, labels: [user, kind, size, comm], max_series: 10, other: {}}
  histograms:
    - {name: sizes, help: h, ringbuf: events, type: event, observe: size, bucket_type: exp2, bucket_max: 4, labels: [user], max_series: 10, other: {}}
";
    check_growth(yaml, &ring(4 << 20), &write, "ebpf_exporter_all_total", ("events", "ring_full"));
}

/// As a config of the reference has it.
#[test]
fn every_exec_is_counted() {
    let folder = Folder::new();
    let (yaml, object) = execs();
    folder.pair("execs", yaml, &object);
    let exporter = Exporter::start(&[&folder.argument()]);
    let program = Exec::new();
    program.run(2000);
    assert_eq!(program.counted(&exporter.page()), Some(2000.0));
    assert!(!exporter.log().contains("level=warn"), "{}", exporter.log());
}

/// Counts execs by the names of the programs.
pub fn execs() -> (&'static str, std::path::PathBuf) {
    let yaml = "metrics:
  counters:
    - name: exec_calls_total
      help: Execs
      map: exec_events
      perf_event_array: true
      labels:
        - {name: comm, size: 16, decoders: [{name: string}]}
";
    let object = compile(
        "struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } exec_events SEC(\".maps\");
         SEC(\"raw_tp/sched_process_exec\") int count_execs(void *ctx) {
             char comm[20] = {};
             bpf_get_current_comm(comm, 16);
             bpf_perf_event_output(ctx, &exec_events, BPF_F_CURRENT_CPU, comm, sizeof(comm));
             return 0;
         }",
    );
    (yaml, object)
}

/// A program that nobody else runs.
pub struct Exec {
    folder: tempfile::TempDir,
    name: String,
}

impl Exec {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tail = folder.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.');
        let name = format!("exec-{tail}");
        assert!(name.len() < 16, "{name} is a name that the kernel keeps whole");
        std::fs::copy("/bin/true", folder.path().join(&name)).unwrap();
        Self { folder, name }
    }

    pub fn run(&self, times: u32) {
        let path = self.folder.path().join(&self.name);
        for _ in 0..times {
            assert!(Command::new(Path::new(&path)).status().unwrap().success());
        }
    }

    pub fn counted(&self, page: &str) -> Option<f64> {
        value_of(page, &format!("ebpf_exporter_exec_calls_total{{comm=\"{}\"}}", self.name))
    }
}
