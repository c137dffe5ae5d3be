use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bpftally::bpf::{self, Attaching};
use bpftally::spec::LoadSpec;

use super::{COUNTS, GETPPID, begin, hand_over, maps, numbers, programs, programs_are_gone, spec};
use crate::common::kernel::{host, total, with_tracefs};
use crate::kernel::retire::links;

const THREADS: usize = 3;
const HANDOVERS: u32 = 10;

/// Counts by thread what this process does.
fn by_thread(program: &str) -> LoadSpec {
    let source = format!(
        "#define NUMBER {GETPPID}\n{COUNTS}
        const volatile u32 process = 0;
        static __always_inline int event(void)
        {{
            u64 id = bpf_get_current_pid_tgid();
            return id >> 32 == process ? add(id) : 0;
        }}
        {program}"
    );
    // The tests of this binary are threads, of which the map has to have room for all.
    let config =
        format!("globals: {{process: {}}}\nmaps: {{counts: {{max_entries: 10000}}}}", std::process::id());
    spec(&source, &config)
}

/// Threads that do something, and how often each has done it.
struct Work {
    stop: AtomicBool,
    done: [AtomicU64; THREADS],
}

impl Work {
    /// No more than this has happened by now, but for one in flight on each thread.
    fn done(&self) -> u64 {
        self.done.iter().map(|done| done.load(Ordering::SeqCst)).sum()
    }

    fn run(&self, index: usize, act: fn()) {
        while !self.stop.load(Ordering::Relaxed) {
            act();
            self.done[index].fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Stops the threads also when an assertion fails.
struct Stop<'a>(&'a Work);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

/// Hands over again and again while threads are at work. Between the beginning of the exchange and its
/// end an event may be seen by both programs; at any other time by one; at no time by none.
#[track_caller]
fn check(kind: &str, program: &str, act: fn()) {
    check_returns(kind, program, act, 0);
}

/// The same where so many calls may be missed.
#[track_caller]
fn check_returns(kind: &str, program: &str, act: fn(), may_miss: u64) {
    let spec = by_thread(program);
    let mut running = begin(&spec);
    let first_maps = maps(&running);
    let work = Work { stop: AtomicBool::new(false), done: Default::default() };
    let started = Instant::now();
    let (counted, fired, in_exchange, took) = std::thread::scope(|scope| {
        let stop = Stop(&work);
        let (sender, receiver) = mpsc::channel();
        let workers: Vec<_> = (0..THREADS)
            .map(|index| {
                let (work, sender) = (&work, sender.clone());
                scope.spawn(move || {
                    sender.send(rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned()).unwrap();
                    work.run(index, act);
                })
            })
            .collect();
        let threads: Vec<u32> = receiver.iter().take(THREADS).collect();
        let ours = |counts: &BTreeMap<u32, u64>| -> u64 {
            threads.iter().map(|thread| counts.get(thread).copied().unwrap_or(0)).sum()
        };
        let (mut in_exchange, mut took, mut last) = (0, Duration::ZERO, 0);
        for _ in 0..HANDOVERS {
            let (host, options) = (host(), bpf::Options::default());
            let prepared = bpf::prepare(&spec, &host, &options, Some(&running)).unwrap();
            let (old, links_before, before) =
                (programs(&running), links(&[&running], running.link_count()), work.done());
            let began = Instant::now();
            let mut next = prepared.commit(&host, &options, Attaching::Strictly, Some(&mut running)).unwrap();
            took += began.elapsed();
            std::mem::swap(&mut running, &mut next);
            next.settle();
            in_exchange += work.done() - before + THREADS as u64;
            next.retire();
            programs_are_gone(&old);
            let links_after = links(&[&running], links_before.len());
            assert!(links_after.iter().all(|id| !links_before.contains(id)), "the links are new ones");
            assert_eq!(
                (running.carried(), maps(&running)["counts"]),
                (&["counts".to_owned()][..], first_maps["counts"])
            );
            let done = work.done();
            let counted = ours(&numbers(&running, "counts"));
            assert!(
                counted >= last && counted + may_miss >= done,
                "{counted} counted of {done}, {last} before"
            );
            last = counted;
        }
        drop(stop);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        (ours(&numbers(&running, "counts")), work.done(), in_exchange, took)
    });
    let more = counted.cast_signed() - fired.cast_signed();
    let each = started.elapsed().as_secs_f64() * 1e3 / f64::from(HANDOVERS);
    println!(
        "{kind}: {fired} events, {counted} counted: {more:+} in {HANDOVERS} handovers (of {in_exchange} meanwhile), \
         each {:.1} ms to attach, {:.2} ms of both",
        took.as_secs_f64() * 1e3 / f64::from(HANDOVERS),
        more as f64 / fired as f64 * each
    );
    assert!(counted + may_miss >= fired, "{kind}: {counted} of {fired}");
    assert!(counted <= fired + in_exchange, "{kind}: {counted} of {fired}, {in_exchange} meanwhile");
    running.retire();
}

fn getppid() {
    std::hint::black_box(rustix::process::getppid());
}

#[test]
fn a_tracepoint_misses_nothing() {
    with_tracefs(|| {
        check(
            "tracepoint",
            r#"SEC("tracepoint/syscalls/sys_enter_getppid") int enter(void *ctx) { return event(); }"#,
            getppid,
        );
    });
}

#[test]
fn a_raw_tracepoint_misses_nothing() {
    check(
        "raw_tp",
        r#"SEC("raw_tp/sys_enter") int enter(struct bpf_raw_tracepoint_args *ctx) { return ctx->args[1] == NUMBER ? event() : 0; }"#,
        getppid,
    );
}

#[test]
fn a_typed_tracepoint_misses_nothing() {
    check(
        "tp_btf",
        r#"SEC("tp_btf/sys_enter") int enter(u64 *ctx) { return ctx[1] == NUMBER ? event() : 0; }"#,
        getppid,
    );
}

#[test]
fn a_uprobe_misses_nothing() {
    let program = r#"SEC("uprobe//proc/self/exe:post_attach_mark") int enter(void *ctx) { return event(); }"#;
    check("uprobe", program, bpf::mark_attached);
}

/// The kernel tells of a return those alone who were told of the call: one that lasts from before the new
/// program was there until after the old one was gone is seen by neither.
#[test]
fn a_uretprobe_misses_no_call_but_those_that_last_for_the_whole_exchange() {
    let program =
        r#"SEC("uretprobe//proc/self/exe:post_attach_mark") int back(void *ctx) { return event(); }"#;
    check_returns("uretprobe", program, bpf::mark_attached, THREADS as u64 * u64::from(HANDOVERS));
}

/// Several programs that count the same event: each is exchanged in its turn.
#[test]
fn four_programs_miss_nothing_each() {
    let source = r#"
        SEC("tracepoint/syscalls/sys_enter_getppid") int one(void *ctx) { return count(1); }
        SEC("tracepoint/syscalls/sys_exit_getppid") int two(void *ctx) { return count(2); }
        GETPPID(three, "raw_tp/sys_enter", 3)
        SEC("tp_btf/sys_enter") int four(u64 *ctx) { return ctx[1] == NUMBER ? count(4) : 0; }"#;
    let work = Work { stop: AtomicBool::new(false), done: Default::default() };
    with_tracefs(|| {
        std::thread::scope(|scope| {
            let stop = Stop(&work);
            let ((tell, told), (start, started)) = (mpsc::channel(), mpsc::channel());
            let worker = scope.spawn({
                let work = &work;
                move || {
                    tell.send(rustix::thread::gettid().as_raw_nonzero()).unwrap();
                    // The first object has to be there before the first call.
                    started.recv().unwrap();
                    work.run(0, getppid);
                }
            });
            let config = format!("globals: {{target: {}}}", told.recv().unwrap());
            let spec = spec(&format!("#define NUMBER {GETPPID}\n{COUNTS}\n{source}"), &config);
            let mut running = begin(&spec);
            start.send(()).unwrap();
            for _ in 0..HANDOVERS {
                hand_over(&mut running, &spec);
            }
            drop(stop);
            worker.join().unwrap();
            let (counts, done) = (numbers(&running, "counts"), work.done());
            println!("four programs: {done} events, {counts:?} counted in {HANDOVERS} handovers");
            assert!(done > 0 && counts.len() == 4);
            assert!(counts.values().all(|count| (done..=2 * done).contains(count)), "{counts:?} of {done}");
        });
    });
}

/// Two objects sample the same clock; one of them is replaced again and again. A new event begins a
/// new period, so that each handover may cost or bring a tick on each CPU, beside those that both see.
#[test]
fn a_performance_event_goes_on_ticking() {
    const FREQUENCY: u64 = 100;
    let source = format!(
        r#"struct {{ __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); }} ticks SEC(".maps");
        SEC("perf_event/type=1,config=0,frequency={FREQUENCY}")
        int tick(void *ctx)
        {{
            u32 zero = 0;
            u64 *slot = bpf_map_lookup_elem(&ticks, &zero);
            if (slot)
                *slot += 1;
            return 0;
        }}"#
    );
    let spec = spec(&source, "");
    let (still, mut running) = (begin(&spec), begin(&spec));
    let ticks = maps(&running)["ticks"];
    let (began, mut exchanging) = (Instant::now(), Duration::ZERO);
    for _ in 0..HANDOVERS {
        std::thread::sleep(Duration::from_millis(100));
        let began = Instant::now();
        hand_over(&mut running, &spec);
        exchanging += began.elapsed();
        assert_eq!((running.link_count(), maps(&running)["ticks"]), (still.link_count(), ticks));
    }
    std::thread::sleep(Duration::from_millis(200));
    let (before, counted, after) = (total(&still, "ticks"), total(&running, "ticks"), total(&still, "ticks"));
    let each = u64::from(HANDOVERS + 1) * still.link_count() as u64;
    let twice = (exchanging.as_secs_f64() * FREQUENCY as f64) as u64 * still.link_count() as u64;
    println!(
        "perf_event: {before}..{after} ticks beside, {counted} counted in {HANDOVERS} handovers and {:?}, {:?} of it exchanging",
        began.elapsed(),
        exchanging
    );
    assert!(counted + 2 * each >= before, "{counted} of {before}");
    assert!(counted <= after + 2 * each + twice, "{counted} of {after}, {twice} may be twice");
    assert!(counted > each, "it did tick");
}
