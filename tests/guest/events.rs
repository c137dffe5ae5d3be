//! Events of both kinds of buffers, variables, spans, and groups that are meant.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::exporter::{Exporter, value_of, values_of};
use crate::common::kernel::kernel_since;
use crate::maps::on_cpu;
use crate::{Refused, start};

/// How long anything that should happen soon may take where a processor is emulated.
const PATIENCE: Duration = Duration::from_secs(60);

#[track_caller]
fn check(page: &str, expected: &[(&str, f64)]) {
    for (series, value) in expected {
        assert_eq!(value_of(page, &format!("ebpf_exporter_{series}")), Some(*value), "{series} in\n{page}");
    }
}

fn lost(page: &str, config: &str, source: &str, reason: &str) -> f64 {
    let losses = values_of(page, "ebpf_exporter_events_lost_total");
    let is_it = |labels: &std::collections::BTreeMap<String, String>| {
        labels["config"] == config && labels["source"] == source && labels["reason"] == reason
    };
    losses.iter().filter(|(labels, _)| is_it(labels)).map(|(_, value)| value).sum()
}

/// A folder with one of the pairs, whose YAML has some lines before it.
fn with(name: &str, lines: &str) -> (tempfile::TempDir, Exporter) {
    let folder = tempfile::tempdir().unwrap();
    let yaml = std::fs::read_to_string(format!("/guest/{name}.yaml")).unwrap();
    std::fs::write(folder.path().join(format!("{name}.yaml")), format!("{lines}\n{yaml}")).unwrap();
    let argument = format!("--config.dir={}", folder.path().display());
    let exporter = Exporter::start(&[&argument, "--object.dir=/guest", "--config.strict"]);
    (folder, exporter)
}

#[test]
fn both_kinds_of_buffers_and_variables_count_every_call() {
    let exporter = start("events", &["--config.strict"]);
    let calls = Refused::new();
    for cpu in 0..2 {
        on_cpu(cpu);
        for length in 1..=100 {
            calls.call(length % 5, length);
        }
    }
    let page = exporter.page();
    check(
        &page,
        &[
            ("ring_calls_total{mode=\"0\"}", 200.0),
            ("ring_offsets_total{offset=\"1\"}", 40.0),
            ("ring_offsets_total{offset=\"2\"}", 40.0),
            ("ring_offsets_total{offset=\"3\"}", 40.0),
            ("ring_offsets_total{offset=\"other\"}", 80.0),
            ("ring_lengths_bucket{le=\"1\"}", 2.0),
            ("ring_lengths_bucket{le=\"16\"}", 32.0),
            ("ring_lengths_count", 200.0),
            ("ring_lengths_sum", 10_100.0),
            ("perf_calls_total{cpu=\"0\"}", 100.0),
            ("perf_calls_total{cpu=\"1\"}", 100.0),
            ("seen_total", 200.0),
            ("seen_bytes_total", 10_100.0),
            ("seen_by_mode_total{mode=\"0\"}", 200.0),
            ("seen_by_mode_total{mode=\"1\"}", 0.0),
            ("events_total{config=\"events\",source=\"calls\"}", 200.0),
            ("events_total{config=\"events\",source=\"samples\"}", 200.0),
        ],
    );
    for source in ["calls", "samples"] {
        for reason in ["ring_full", "decode", "series_limit", "buffer_full"] {
            assert_eq!(lost(&page, "events", source, reason), 0.0, "{source} {reason}");
        }
    }
}

/// Keeps a process from running until it is dropped.
struct Stopped(Pid);

impl Stopped {
    fn new(exporter: &Exporter) -> Self {
        let process = Pid::from_raw(exporter.pid().try_into().unwrap()).unwrap();
        kill_process(process, Signal::STOP).unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", exporter.pid())).unwrap();
        while !state().contains(") T ") {
            std::thread::sleep(Duration::from_millis(1));
        }
        Self(process)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        kill_process(self.0, Signal::CONT).unwrap();
    }
}

#[test]
fn what_stalled_buffers_refuse_is_counted_and_they_recover() {
    const CALLS: f64 = 4000.0;
    let exporter = start("events", &["--config.strict"]);
    let calls = Refused::new();
    // The kernel tells what an array of performance events has lost with the next one on that CPU.
    on_cpu(0);
    let stopped = Stopped::new(&exporter);
    (0..4000).for_each(|_| calls.call(0, 1));
    drop(stopped);
    exporter.page();
    calls.call(0, 1);
    let page = exporter.page();
    let (ring, perf) =
        (lost(&page, "events", "calls", "ring_full"), lost(&page, "events", "samples", "ring_full"));
    // 24 bytes each, with 8 before them, in 64 KiB; and two pages.
    assert!((CALLS - 2048.0..CALLS).contains(&ring), "{ring}");
    assert!((CALLS - 300.0..CALLS).contains(&perf), "{perf}");
    assert_eq!(lost(&page, "events", "samples", "buffer_full"), perf);
    let expected = [
        ("seen_total", CALLS + 1.0),
        ("ring_calls_total{mode=\"0\"}", CALLS + 1.0 - ring),
        ("ring_lengths_count", CALLS + 1.0 - ring),
        ("perf_calls_total{cpu=\"0\"}", CALLS + 1.0 - perf),
    ];
    check(&page, &expected);
    (0..100).for_each(|_| calls.call(0, 1));
    let page = exporter.page();
    check(&page, &expected.map(|(series, value)| (series, value + 100.0)));
}

/// The limit of programs that can take no lock, on kernels that have no atomic exchange: each CPU has its share.
#[test]
fn a_limit_for_each_cpu_holds_on_every_kernel() {
    let began = Instant::now();
    let (_folder, exporter) =
        with("events", "globals: {calls_settings: {rate: 10, burst: 20, cpus: 2, sample: 2}}");
    let calls = Refused::new();
    on_cpu(1);
    (0..1000).for_each(|_| calls.call(0, 1));
    let page = exporter.page();
    let took = began.elapsed().as_secs_f64();
    let delivered = value_of(&page, "ebpf_exporter_ring_calls_total{mode=\"0\"}").unwrap();
    let of = |reason: &str| lost(&page, "events", "calls", reason);
    assert_eq!(of("sampled_out"), 500.0);
    assert_eq!(delivered + of("rate_limited"), 500.0, "{page}");
    // Half of the rate, and of what was saved up: 20 events take two seconds of the whole rate, ten of the half.
    assert!((10.0..=11.0 + 5.0 * took).contains(&delivered), "{delivered} in {took} s");
}

#[test]
fn one_limit_without_a_lock_takes_an_atomic_exchange() {
    let began = Instant::now();
    let exporter = Exporter::launch(&["--config.dir=/guest", "--config.names=atomic"]);
    let loaded = exporter.value("ebpf_exporter_config_loaded{config=\"atomic\"}");
    if !kernel_since(5, 12) {
        assert_eq!(loaded, Some(0.0), "the verifier refuses it");
        assert!(exporter.log().contains("level=error"), "{}", exporter.log());
        return;
    }
    assert_eq!(loaded, Some(1.0), "{}", exporter.log());
    let calls = Refused::new();
    (0..500).for_each(|_| calls.call(0, 1));
    let page = exporter.page();
    let took = began.elapsed().as_secs_f64();
    let delivered = value_of(&page, "ebpf_exporter_limited_calls_total").unwrap();
    assert_eq!(delivered + lost(&page, "atomic", "calls", "rate_limited"), 500.0);
    assert!((20.0..=21.0 + 10.0 * took).contains(&delivered), "{delivered} in {took} s");
}

/// Takes one request of HTTP and says that it is well; its body.
fn receive(listener: &TcpListener) -> Vec<u8> {
    let (mut stream, _) = listener.accept().unwrap();
    let mut bytes = Vec::new();
    loop {
        let mut part = [0; 4096];
        let count = stream.read(&mut part).unwrap();
        assert!(count > 0, "the whole request");
        bytes.extend_from_slice(&part[..count]);
        let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let text = String::from_utf8(bytes[..head].to_vec()).unwrap().to_lowercase();
        assert!(text.starts_with("post /v1/traces "), "{text}");
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if bytes.len() >= head + 4 + length.parse::<usize>().unwrap() {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            return bytes.split_off(head + 4);
        }
    }
}

/// The fields of a message of protobuf: their numbers, with the bytes of each, of numbers as well.
fn fields(mut message: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(message: &mut &[u8]) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = message[0];
            *message = &message[1..];
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return number;
            }
        }
    }
    let mut all = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let length = match key & 7 {
            0 => {
                all.push((key >> 3, varint(&mut message).to_le_bytes().to_vec()));
                continue;
            }
            1 => 8,
            2 => varint(&mut message).try_into().unwrap(),
            5 => 4,
            other => panic!("the type of wire {other}"),
        };
        let (field, rest) = message.split_at(length);
        all.push((key >> 3, field.to_vec()));
        message = rest;
    }
    all
}

/// What lies in a field of each of some messages.
fn inside(messages: &[Vec<u8>], number: u64) -> Vec<Vec<u8>> {
    let all = messages.iter().flat_map(|message| fields(message));
    all.filter(|(field, _)| *field == number).map(|(_, bytes)| bytes).collect()
}

#[test]
fn spans_arrive_over_otlp() {
    const CALLS: u64 = 50;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let variables = format!("export OTEL_BSP_SCHEDULE_DELAY=1 OTEL_EXPORTER_OTLP_ENDPOINT={endpoint}");
    let flags = ["--config.dir=/guest", "--config.names=spans", "--config.strict"];
    let exporter = Exporter::launch_after(&variables, &flags);
    let deadline = Instant::now() + PATIENCE;
    while exporter.value("ebpf_exporter_config_loaded{config=\"spans\"}") != Some(1.0) {
        assert!(Instant::now() < deadline, "{}", exporter.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    let calls = Refused::new();
    (1..=CALLS).for_each(|number| calls.call(number, 100 + number));
    let mut spans = Vec::new();
    while spans.len() < CALLS as usize {
        // Resources, their scopes, and the spans of those.
        spans.extend(inside(&inside(&inside(&[receive(&listener)], 1), 2), 2));
    }
    let mut found: Vec<(Vec<u8>, Vec<u8>, u64)> = spans
        .iter()
        .map(|span| {
            let of = |number| inside(std::slice::from_ref(span), number).remove(0);
            let time = |number| u64::from_le_bytes(of(number).try_into().unwrap());
            (of(1), of(2), time(8) - time(7))
        })
        .collect();
    found.sort();
    let number = |number: u64| number.to_ne_bytes();
    let mut expected: Vec<(Vec<u8>, Vec<u8>, u64)> = (1..=CALLS)
        .map(|call| ([number(7), number(call)].concat(), number(100 + call).to_vec(), 1000 * (100 + call)))
        .collect();
    expected.sort();
    assert_eq!(found, expected);
    assert!(inside(&spans, 5).iter().all(|name| name == b"fallocate"));
}

/// A control group that ends when it is dropped.
struct Group(String);

impl Group {
    fn new(name: &str) -> Self {
        let path = format!("/sys/fs/cgroup/{name}");
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// Does something as a member of the group.
    fn within(&self, work: impl FnOnce()) {
        std::fs::write(format!("{}/cgroup.procs", self.0), "0").unwrap();
        work();
        std::fs::write("/sys/fs/cgroup/cgroup.procs", "0").unwrap();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while Path::new(&self.0).exists() && std::fs::remove_dir(&self.0).is_err() {
            assert!(Instant::now() < deadline || std::thread::panicking(), "{} stays", self.0);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn groups_that_are_meant_are_followed() {
    let first = Group::new("chosen-first");
    let exporter = start("groups", &["--config.strict"]);
    let calls = Refused::new();
    let groups = || exporter.values("ebpf_exporter_chosen_group").len();
    let until = |count: usize| {
        let deadline = Instant::now() + PATIENCE;
        while groups() != count {
            assert!(Instant::now() < deadline, "{} groups:\n{}", groups(), exporter.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    // It was there before the program was attached.
    assert_eq!(groups(), 1);
    let (second, other) = (Group::new("chosen-second"), Group::new("another"));
    until(2);
    first.within(|| (0..10).for_each(|_| calls.call(0, 1)));
    second.within(|| (0..300).for_each(|_| calls.call(0, 1)));
    other.within(|| (0..5000).for_each(|_| calls.call(0, 1)));
    calls.call(0, 1);
    assert_eq!(exporter.value("ebpf_exporter_chosen_calls_total"), Some(310.0));
    drop(first);
    until(1);
    second.within(|| calls.call(0, 1));
    assert_eq!(exporter.value("ebpf_exporter_chosen_calls_total"), Some(311.0));
}

#[test]
fn groups_keep_it_themselves_where_the_kernel_can() {
    let (chosen, other) = (Group::new("chosen-one"), Group::new("another"));
    let exporter = Exporter::launch(&["--config.dir=/guest", "--config.names=storage"]);
    let loaded = exporter.value("ebpf_exporter_config_loaded{config=\"storage\"}");
    if !kernel_since(6, 2) {
        assert_eq!(loaded, Some(0.0), "there are no such maps");
        assert!(exporter.log().contains("level=error"), "{}", exporter.log());
        return;
    }
    assert_eq!(loaded, Some(1.0), "{}", exporter.log());
    let calls = Refused::new();
    chosen.within(|| (0..40).for_each(|_| calls.call(0, 1)));
    other.within(|| (0..500).for_each(|_| calls.call(0, 1)));
    assert_eq!(exporter.value("ebpf_exporter_chosen_calls_total"), Some(40.0));
}
