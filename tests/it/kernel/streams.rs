use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bpftally::bpf::Loaded;
use libbpf_rs::query::MapInfoIter;
use libbpf_rs::{MapHandle, RingBufferBuilder};

use crate::common::kernel::{load, rows};

/// Sends an event for each getppid() of one thread; every seventh is an error.
const SENDS: &str = r#"
#include "events.bpf.h"
struct call { u64 number; };
EVENT_STREAM(calls, struct call, BYTES);
const volatile u32 thread = THREAD;
u64 count = 0;
static __always_inline int send(struct bpf_raw_tracepoint_args *context)
{
    struct call *call;
    u64 number;
    if (context->args[1] != GETPPID || (u32)bpf_get_current_pid_tgid() != thread)
        return 0;
    number = count++;
    call = reserve_event(calls, struct call, number % 7 == 0);
    if (call) {
        call->number = number;
        bpf_ringbuf_submit(call, 0);
    }
    return 0;
}
"#;

/// A stream whose settings are these, in a program of a section.
struct Stream {
    loaded: Loaded,
    began: Instant,
    calls: u64,
}

impl Stream {
    #[track_caller]
    fn start(define: &str, section: &str, bytes: u32, settings: &str) -> Self {
        let source = SENDS
            .replace("BYTES", &bytes.to_string())
            .replace("THREAD", &rustix::thread::gettid().as_raw_nonzero().to_string())
            .replace("GETPPID", &libc::SYS_getppid.to_string());
        let header =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("bpf-objects/include/events.bpf.h");
        // The settings of the header are zeros, which YAML changes; here they are compiled in.
        let header = std::fs::read_to_string(header)
            .unwrap()
            .replace("stream##_settings = {}", &format!("stream##_settings = {{{settings}}}"));
        let source = source.replace("#include \"events.bpf.h\"", &header);
        let program = format!(
            "SEC(\"{section}\") int count_calls(struct bpf_raw_tracepoint_args *context) {{ return send(context); }}"
        );
        let loaded = load("streams", &format!("{define}\n{source}\n{program}"));
        Self { loaded, began: Instant::now(), calls: 0 }
    }

    fn call(&mut self, times: u64) {
        self.calls += times;
        for _ in 0..times {
            std::hint::black_box(rustix::process::getppid());
        }
    }

    /// What is in the ring buffer now.
    fn take(&self) -> Vec<u64> {
        let id = self.loaded.view().programs.programs()[0].id;
        let options = libbpf_rs::query::ProgInfoQueryOptions::default().include_map_ids(true);
        let mut programs = libbpf_rs::query::ProgInfoIter::with_query_opts(options);
        let maps = programs.find(|program| program.id == id).unwrap().map_ids;
        let ring = MapInfoIter::default()
            .find(|map| maps.contains(&map.id) && map.name.to_str() == Some("calls"))
            .unwrap();
        let ring = MapHandle::from_map_id(ring.id).unwrap();
        let (mut numbers, total) = (Vec::new(), AtomicU64::new(0));
        let mut builder = RingBufferBuilder::new();
        builder
            .add(&ring, |bytes| {
                numbers.push(u64::from_ne_bytes(bytes.try_into().unwrap()));
                total.fetch_add(1, Ordering::Relaxed);
                0
            })
            .unwrap();
        builder.build().unwrap().consume().unwrap();
        assert_eq!(total.into_inner(), numbers.len() as u64);
        numbers
    }

    /// Of all CPUs: full, limited, sampled, no room in a map.
    fn losses(&self) -> [u64; 4] {
        let view = self.loaded.view();
        let source = view.source("calls_losses").unwrap();
        let lane = source.shape().lane_stride;
        let row = rows(source.as_ref());
        let mut losses = [0; 4];
        for lane in row[0].1.chunks_exact(lane) {
            for (sum, word) in losses.iter_mut().zip(lane.chunks_exact(8)) {
                *sum += u64::from_ne_bytes(word.try_into().unwrap());
            }
        }
        losses
    }

    /// How many events were delivered; with those that were lost they are all.
    #[track_caller]
    fn delivered(&self) -> u64 {
        let delivered = self.take().len() as u64;
        assert_eq!(delivered + self.losses().iter().sum::<u64>(), self.calls, "{:?}", self.losses());
        delivered
    }
}

/// The ways to keep a limit, each in the section of a kind that may.
const WAYS: [(&str, &str); 3] = [
    ("", "tp_btf/sys_enter"),
    ("#define EVENT_LIMIT_ATOMIC", "raw_tp/sys_enter"),
    ("#define EVENT_LIMIT_PER_CPU", "raw_tp/sys_enter"),
];

#[test]
fn without_settings_every_event_is_delivered() {
    for (define, section) in WAYS {
        let mut stream = Stream::start(define, section, 1 << 20, "");
        stream.call(10_000);
        assert_eq!(stream.take(), (0..10_000).collect::<Vec<_>>());
        assert_eq!(stream.losses(), [0; 4]);
    }
}

#[test]
fn a_limiter_starts_with_all_that_it_may_save_up() {
    for (define, section) in WAYS {
        // One second's worth, however slow the machine is.
        let mut stream = Stream::start(define, section, 1 << 20, ".rate = 1000");
        stream.call(1000);
        assert_eq!(stream.delivered(), 1000, "{define}");
        // Three events now, and the next one in a million seconds.
        let mut stream = Stream::start(define, section, 1 << 20, ".rate = 1, .burst = 3, .cpus = 1");
        let begin = Instant::now();
        stream.call(100);
        let (delivered, later) = (stream.delivered(), begin.elapsed().as_secs());
        let cpus =
            if define.contains("PER_CPU") { libbpf_rs::num_possible_cpus().unwrap() as u64 } else { 1 };
        assert!((3..=(3 + later + 1) * cpus).contains(&delivered), "{define}: {delivered}");
        assert_eq!(stream.losses(), [0, 100 - delivered, 0, 0]);
    }
}

#[test]
fn what_passes_in_a_time_is_the_rate() {
    for (define, section) in &WAYS[..2] {
        // 1 s divided by it leaves a rest, of which nothing may be lost.
        const RATE: f64 = 3001.0;
        let mut stream = Stream::start(define, section, 1 << 20, ".rate = 3001, .burst = 7");
        while stream.began.elapsed() < Duration::from_secs(1) {
            stream.call(100);
        }
        stream.call(1);
        let (first, from) = (stream.delivered(), Instant::now());
        stream.calls = stream.losses().iter().sum();
        while from.elapsed() < Duration::from_secs(1) {
            stream.call(100);
        }
        let delivered = (first + stream.delivered()) as f64;
        let most = 7.0 + RATE * stream.began.elapsed().as_secs_f64() + 1.0;
        assert!(delivered <= most, "{define}: {delivered} of {most}");
        // A machine that does nothing for a while uses less than it might: that is no fault of the limit.
        assert!(delivered > 100.0, "{define}: {delivered}");
    }
}

#[test]
fn a_sample_is_a_share_and_has_every_error() {
    const CALLS: u64 = 70_000;
    for (define, section) in WAYS {
        let mut stream = Stream::start(define, section, 4 << 20, ".sample = 10");
        stream.call(CALLS);
        let delivered = stream.take();
        let errors = delivered.iter().filter(|number| *number % 7 == 0).count() as u64;
        assert_eq!(errors, CALLS / 7, "{define}");
        // Of the rest a tenth, but for where each CPU is in its ten.
        let others = delivered.len() as u64 - errors;
        let cpus = libbpf_rs::num_possible_cpus().unwrap() as u64;
        assert!(others.abs_diff((CALLS - CALLS / 7) / 10) <= cpus, "{define}: {others}");
        assert_eq!(stream.losses(), [0, 0, CALLS - delivered.len() as u64, 0]);
        // They are drawn: at a fixed distance the same numbers modulo ten would come again and again.
        let places: std::collections::HashSet<u64> =
            delivered.iter().filter(|number| *number % 7 != 0).map(|number| number % 10).collect();
        assert_eq!(places.len(), 10, "{define}");
    }
}

#[test]
fn sampling_comes_before_the_limit() {
    let mut stream = Stream::start("", "tp_btf/sys_enter", 1 << 20, ".rate = 1, .burst = 100, .sample = 10");
    stream.call(7000);
    let [full, limited, sampled, _] = stream.losses();
    let delivered = stream.take().len() as u64;
    // 1000 errors and 600 of the others came to the limit.
    assert!((delivered + limited).abs_diff(1600) <= libbpf_rs::num_possible_cpus().unwrap() as u64);
    assert_eq!((full, delivered + limited + sampled), (0, 7000));
    assert!(delivered >= 100);
}

#[test]
fn a_full_ring_counts_what_it_refuses_and_goes_on_afterwards() {
    let mut stream = Stream::start("", "tp_btf/sys_enter", 4096, "");
    stream.call(1000);
    // An event of 8 bytes takes 16, and the buffer is never quite full.
    let [full, ..] = stream.losses();
    assert_eq!(stream.delivered(), 1000 - full);
    assert!((740..=750).contains(&full), "{full}");
    stream.calls -= 1000 - full;
    stream.call(100);
    assert_eq!(stream.losses(), [full, 0, 0, 0]);
    assert_eq!(stream.delivered(), 100);
}
