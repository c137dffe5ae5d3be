//! How many events a second are read and counted on one core, beside a bare reader of the same buffer.
//!
//! `cargo bench --bench events`, as root. The process is kept on one CPU. Each round fills a ring buffer of 32 MiB with
//! a million events of 16 bytes and empties it: once with libbpf alone and somebody who only reads each event,
//! and then with what an exporter does for a config. The processor time of the process counts, of all its threads, and of
//! all rounds the median: what else runs makes a round longer, but not the work.
//!
//! The bare reader is libbpf's own consumer, `ring_buffer__consume`, whose callback loads both words of every event and adds
//! them up: the least that a program does that looks at its events.
//! `cargo bench --bench events -- sinks` measures by itself, without rights, what is done for events that were read.

// A benchmark may stop where a program must not.
#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bpftally::bpf::{self, Loaded};
use bpftally::config::{ConfigFile, Insecure, ObjectFile, Options, check_text};
use bpftally::elf::ObjectInfo;
use bpftally::events::Tallies;
use bpftally::host::{Host, Roots};
use bpftally::snapshot::{Limits, Losses, Records};
use bpftally::spec::Spec;
use libbpf_rs::query::MapInfoIter;
use libbpf_rs::{MapHandle, RingBufferBuilder};

const EVENTS: u64 = 1_000_000;
const ROUNDS: usize = 15;

/// Above every process number that the kernel gives.
const WHO: i32 = 0x4b1d_0000;

const CASES: &[(&str, &str)] = &[
    ("a counter without labels", "counters: [{name: a_total, help: h, ringbuf: events}]"),
    (
        "a counter with two integer labels",
        "counters: [{name: a_total, help: h, ringbuf: events, type: event, labels: [user, kind]}]",
    ),
    (
        "the same with a condition and a number",
        "counters: [{name: a_total, help: h, ringbuf: events, type: event, where: {kind: [0, 1, 2, 3]}, value: nanoseconds, labels: [user, kind]}]",
    ),
    (
        "a histogram of 20 buckets with a label",
        "histograms: [{name: a, help: h, ringbuf: events, type: event, observe: nanoseconds, bucket_type: exp2, bucket_max: 19, labels: [kind]}]",
    ),
    (
        "four counters with two labels each",
        "counters: [{name: a_total, help: h, ringbuf: events, type: event, labels: [user, kind]}, \
         {name: b_total, help: h, ringbuf: events, type: event, labels: [user, kind]}, \
         {name: c_total, help: h, ringbuf: events, type: event, labels: [user, kind]}, \
         {name: d_total, help: h, ringbuf: events, type: event, labels: [user, kind]}]",
    ),
];

fn main() {
    stay_on_one_cpu();
    let folder = tempfile::tempdir().unwrap();
    let object = compile(folder.path());
    let bytes: Arc<[u8]> = std::fs::read(&object).unwrap().into();
    let info = ObjectInfo::parse(&bytes).unwrap();
    let file = ObjectFile { path: &object, bytes: &bytes, info: &info };
    if std::env::args().any(|argument| argument == "sinks") {
        return CASES.iter().for_each(|(what, metrics)| sinks(what, &spec(&file, metrics)));
    }
    println!("| what is counted | million events a second | bare | ratio |");
    println!("| --- | --- | --- | --- |");
    for (what, metrics) in CASES {
        // In turns, so that a machine that is busy slows both down.
        let round = |_| (read_bare(&spec(&file, "counters: []")), count(&spec(&file, metrics)));
        let (bare, counted): (Vec<_>, Vec<_>) = (0..ROUNDS).map(round).unzip();
        let rate = |took: Vec<Duration>| EVENTS as f64 / median(took).as_secs_f64() / 1e6;
        let (counted, bare) = (rate(counted), rate(bare));
        println!("| {what} | {counted:.1} | {bare:.1} | {:.2} |", counted / bare);
    }
}

/// What the sinks take by themselves, of events that lie in memory: no kernel, no rights.
fn sinks(what: &str, spec: &Spec) {
    let tallies = Tallies::new(&spec.view, &Tallies::default());
    let (mut sinks, mut losses) = (tallies.sinks("events"), Losses::default());
    let mut records = Records::new();
    for nth in 0..1000u32 {
        let event = [u64::from(nth % 61) | u64::from(nth % 7) << 32, nth.into()];
        records.push_words(event.into_iter(), 16);
    }
    let mut best = Duration::MAX;
    for _ in 0..200 {
        let began = Instant::now();
        for _ in 0..100 {
            sinks.iter_mut().for_each(|sink| sink.record(std::hint::black_box(&records), began, &mut losses));
        }
        best = best.min(began.elapsed());
    }
    println!("{what}: {:.1} ns an event", best.as_secs_f64() * 1e9 / 100_000.0);
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort_unstable();
    all[all.len() / 2]
}

/// Processor time of the whole process so far.
fn processor_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(now).unwrap()
}

fn stay_on_one_cpu() {
    let own = rustix::thread::sched_getaffinity(None).unwrap();
    let mut one = rustix::thread::CpuSet::new();
    one.set((0..rustix::thread::CpuSet::MAX_CPU).rfind(|cpu| own.is_set(*cpu)).unwrap());
    rustix::thread::sched_setaffinity(None, &one).unwrap();
}

fn compile(folder: &Path) -> std::path::PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/events.bpf.c");
    let object = folder.join("events.bpf.o");
    let include = format!("-I/usr/include/{}-linux-gnu", std::env::consts::ARCH);
    let status = Command::new("clang")
        .args(["-target", "bpf", "-mcpu=v3", "-g", "-O2", &include, "-c"])
        .arg(&source)
        .arg("-o")
        .arg(&object)
        .status()
        .expect("clang is needed to compile the object");
    assert!(status.success(), "clang compiles {}", source.display());
    object
}

fn spec(object: &ObjectFile<'_>, metrics: &str) -> Spec {
    let options = Options {
        namespace: String::new(),
        max_series: None,
        object_dir: None,
        host: Arc::new(Host::new(Roots::default())),
        insecure: Insecure::Allowed,
    };
    // Where the second argument of a system call is in `struct pt_regs`.
    let place = if cfg!(target_arch = "x86_64") { 104 } else { 8 };
    let number = if cfg!(target_arch = "x86_64") { 140 } else { 141 };
    let text = format!("globals: {{who: {WHO}, call: {number}, place: {place}}}\nmetrics: {{{metrics}}}\n");
    let checked = check_text(&ConfigFile::new("/configs/events.yaml"), &text, object, &options);
    assert!(checked.problems.is_empty(), "{:#?}", checked.problems);
    checked.spec.unwrap()
}

fn load(spec: &Spec) -> Loaded {
    let loaded = bpf::load(&spec.load, &Host::new(Roots::default()), &bpf::Options::default()).unwrap();
    assert!(loaded.problems().is_empty(), "{:?}", loaded.problems());
    loaded
}

/// Makes the calls that a thousand events each are written for.
fn fill() {
    for _ in 0..EVENTS / 1000 {
        let _ = rustix::process::getpriority_process(rustix::process::Pid::from_raw(WHO));
    }
}

/// How long libbpf takes to show each event to somebody who reads it and no more.
fn read_bare(spec: &Spec) -> Duration {
    let loaded = load(spec);
    let id = MapInfoIter::default().filter(|map| map.name.to_str() == Some("events")).last().unwrap().id;
    let map = MapHandle::from_map_id(id).unwrap();
    let (seen, sum) = (Cell::new(0u64), Cell::new(0u64));
    let number = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
    let mut builder = RingBufferBuilder::new();
    let look = |event: &[u8]| {
        seen.set(seen.get() + 1);
        let read = event.split_at_checked(8).map_or(0, |(first, rest)| number(first) ^ number(rest));
        sum.set(sum.get().wrapping_add(read));
        0
    };
    builder.add(&map, look).unwrap();
    let ring = builder.build().unwrap();
    fill();
    let began = processor_time();
    ring.consume().unwrap();
    let took = processor_time() - began;
    assert_eq!(seen.get(), EVENTS);
    assert!(std::hint::black_box(sum.get()) > 0);
    drop(ring);
    loaded.retire();
    took
}

/// How long it takes until each event is counted.
fn count(spec: &Spec) -> Duration {
    let loaded = load(spec);
    let (view, tallies) = (loaded.view(), Tallies::new(&spec.view, &Tallies::default()));
    let stream = Arc::clone(&view.streams.first().expect("a buffer is read").stream);
    let deadline = Instant::now() + Duration::from_secs(60);
    fill();
    let began = processor_time();
    stream.connect(tallies.sinks("events")).unwrap();
    while stream.counts().events < EVENTS {
        stream.drain(deadline).unwrap();
    }
    let took = processor_time() - began;
    let whole = tallies.complete(&view);
    let source = &whole.sources.iter().find(|named| named.map.contains(':')).unwrap().source;
    let limits = Limits { deadline, max_bytes: usize::MAX };
    assert!(source.read(&limits, &mut |_| Ok(())).unwrap().entries > 0);
    drop((view, whole, tallies, stream));
    loaded.retire();
    took
}
