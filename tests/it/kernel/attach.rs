use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bpftally::bpf;
use bpftally::host::Roots;

use crate::common::kernel::{
    host, load, load_spec, rows, run, total, wait_until_no_xdp, with_network, with_tracefs,
};

/// Counts getppid() of one process, which the test writes into `target`, by thread and CPU.
pub const GETPPID: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u32); } target SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1024); __type(key, u32); __type(value, u64); } by_thread SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } by_cpu SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_HASH); __uint(max_entries, 1024); __type(key, u32); __type(value, u64); } by_both SEC(".maps");

SEC("tracepoint/syscalls/sys_enter_getppid")
int count(void *ctx)
{
    u64 id = bpf_get_current_pid_tgid();
    u32 zero = 0, thread = id, *wanted = bpf_map_lookup_elem(&target, &zero);
    if (!wanted || *wanted != id >> 32)
        return 0;
    u64 one = 1, *slot = bpf_map_lookup_elem(&by_thread, &thread);
    if (slot)
        __sync_fetch_and_add(slot, 1);
    else
        bpf_map_update_elem(&by_thread, &thread, &one, BPF_NOEXIST);
    slot = bpf_map_lookup_elem(&by_cpu, &zero);
    if (slot)
        *slot += 1;
    slot = bpf_map_lookup_elem(&by_both, &thread);
    if (slot)
        *slot += 1;
    else
        bpf_map_update_elem(&by_both, &thread, &one, BPF_NOEXIST);
    return 0;
}
"#;

/// Writes this process into the map `target` of the program whose id is given by a view.
fn aim(loaded: &bpf::Loaded) {
    use libbpf_rs::{MapCore, MapFlags, MapHandle, query::ProgInfoIter};
    let id = loaded.view().programs.programs()[0].id;
    let maps = ProgInfoIter::with_query_opts(
        libbpf_rs::query::ProgInfoQueryOptions::default().include_map_ids(true),
    )
    .find(|program| program.id == id)
    .unwrap()
    .map_ids;
    let target =
        maps.into_iter().map(|id| MapHandle::from_map_id(id).unwrap()).find(|map| map.name() == "target");
    target.unwrap().update(&0_u32.to_ne_bytes(), &std::process::id().to_ne_bytes(), MapFlags::ANY).unwrap();
}

fn getppid(times: u64) {
    for _ in 0..times {
        std::hint::black_box(rustix::process::getppid());
    }
}

#[test]
fn what_a_tracepoint_counts_is_what_happened() {
    with_tracefs(|| {
        let loaded = load("getppid", GETPPID);
        aim(&loaded);
        std::thread::scope(|scope| {
            for thread in 1..=4 {
                scope.spawn(move || getppid(thread * 1000));
            }
        });
        for map in ["by_thread", "by_cpu", "by_both"] {
            assert_eq!(total(&loaded, map), 10_000, "{map}");
        }
        let view = loaded.view();
        let by_thread = rows(view.source("by_thread").unwrap().as_ref());
        let mut counts: Vec<u64> = by_thread
            .iter()
            .map(|(_, value)| u64::from_ne_bytes(value.as_slice().try_into().unwrap()))
            .collect();
        counts.sort_unstable();
        assert_eq!(counts, [1000, 2000, 3000, 4000]);
        assert_eq!(view.source("by_cpu").unwrap().shape().lanes, libbpf_rs::num_possible_cpus().unwrap());
    });
}

#[test]
fn a_view_outlives_what_it_is_a_view_of_and_keeps_nothing_attached() {
    with_tracefs(|| {
        let loaded = load("getppid", GETPPID);
        aim(&loaded);
        getppid(100);
        let view = loaded.view();
        loaded.retire();
        getppid(100);
        let source = view.source("by_cpu").unwrap();
        let sum: u64 = rows(source.as_ref())[0].1.chunks_exact(8).map(|lane| lane[0] as u64).sum();
        assert_eq!(sum, 100, "what was counted can still be read; nothing was added");
        assert_eq!(view.programs.programs().len(), 1);
    });
}

#[test]
fn each_kind_that_this_kernel_attaches_is_attached() {
    with_tracefs(|| {
        let loaded = load(
            "kinds",
            r#"
            SEC("tracepoint/sched/sched_process_exit") int tracepoint(void *ctx) { return 0; }
            SEC("tp/sched/sched_process_fork") int short_tracepoint(void *ctx) { return 0; }
            SEC("raw_tp/sched_process_exec") int raw_tracepoint(void *ctx) { return 0; }
            SEC("tp_btf/sched_process_wait") int typed_tracepoint(void *ctx) { return 0; }
            SEC("uprobe//proc/self/exe:post_attach_mark") int uprobe(void *ctx) { return 0; }
            SEC("uretprobe//proc/self/exe:post_attach_mark") int uretprobe(void *ctx) { return 0; }
            SEC("iter/bpf_map") int iterator(void *ctx) { return 0; }
            SEC("perf_event/type=1,config=0,frequency=9") int clock(void *ctx) { return 0; }
            "#,
        );
        assert_eq!(loaded.unattached(), [""; 0]);
        let programs = loaded.view().programs.programs();
        assert!(programs.iter().all(|program| program.attached && program.tag.len() == 16), "{programs:?}");
        let names: Vec<_> = programs.iter().map(|program| program.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "tracepoint",
                "short_tracepoint",
                "raw_tracepoint",
                "typed_tracepoint",
                "uprobe",
                "uretprobe",
                "iterator",
                "clock"
            ],
            "whole names, in the order of the object"
        );
    });
}

#[test]
fn the_mark_is_called_once_when_all_are_attached() {
    // Other tests of this process may call it too: count those of this thread.
    let loaded = load(
        "mark",
        r#"
        struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } marks SEC(".maps");
        SEC("uprobe//proc/self/exe:post_attach_mark")
        int mark(void *ctx)
        {
            u32 thread = bpf_get_current_pid_tgid();
            u64 one = 1, *slot = bpf_map_lookup_elem(&marks, &thread);
            if (slot)
                *slot += 1;
            else
                bpf_map_update_elem(&marks, &thread, &one, BPF_ANY);
            return 0;
        }
        "#,
    );
    bpf::mark_attached();
    let thread = rustix::thread::gettid().as_raw_nonzero().get().to_ne_bytes();
    let view = loaded.view();
    let marks = rows(view.source("marks").unwrap().as_ref());
    let mine: Vec<_> = marks.iter().filter(|(key, _)| key == &thread).map(|(_, value)| value[0]).collect();
    assert_eq!(mine, [1], "{marks:?}");
}

#[test]
fn a_perf_event_runs_on_every_cpu_about_as_often_as_asked() {
    let loaded = load(
        "clock",
        r#"
        struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } ticks SEC(".maps");
        SEC("perf_event/type=1,config=0,frequency=99")
        int tick(void *ctx)
        {
            u32 zero = 0;
            u64 *slot = bpf_map_lookup_elem(&ticks, &zero);
            if (slot)
                *slot += 1;
            return 0;
        }
        "#,
    );
    let online = std::thread::available_parallelism().unwrap().get();
    assert!(loaded.link_count() >= online, "one link for each CPU: {}", loaded.link_count());
    let view = loaded.view();
    let ticks = || -> Vec<u64> {
        let lanes = rows(view.source("ticks").unwrap().as_ref())[0].1.clone();
        lanes.chunks_exact(8).map(|lane| u64::from_ne_bytes(lane.try_into().unwrap())).take(online).collect()
    };
    // The kernel finds the period for a frequency as it goes, and an idle CPU may sleep through its
    // ticks: all are kept busy, and get as long as they need.
    let (began, done) = (Instant::now(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..online {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        while ticks().iter().any(|ticks| *ticks < 10) && began.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(100));
        }
        done.store(true, Ordering::Relaxed);
    });
    let (ticks, elapsed) = (ticks(), began.elapsed().as_secs_f64() + 0.2);
    for ticks in ticks {
        // Had the frequency been taken for a period, there would be thousands in each second.
        assert!((10.0..=99.0 * elapsed * 5.0 + 100.0).contains(&(ticks as f64)), "{ticks} in {elapsed} s");
    }
}

#[test]
fn xdp_attaches_to_the_interface_that_its_section_names() {
    with_network(|| {
        let loaded = load(
            "xdp",
            r#"
            struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } packets SEC(".maps");
            SEC("xdp/lo")
            int count(struct xdp_md *ctx)
            {
                u32 zero = 0;
                u64 *slot = bpf_map_lookup_elem(&packets, &zero);
                if (slot)
                    __sync_fetch_and_add(slot, 1);
                return XDP_PASS;
            }
            "#,
        );
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..50 {
            sender.send_to(b"counted", receiver.local_addr().unwrap()).unwrap();
            receiver.recv(&mut [0; 16]).unwrap();
        }
        assert_eq!(total(&loaded, "packets"), 50);
        assert!(run("ip", &["link", "show", "lo"]).contains("xdp"));
        loaded.retire();
        wait_until_no_xdp();
    });
}

#[test]
fn programs_tell_time_and_runs_while_statistics_are_kept() {
    with_tracefs(|| {
        let guard = bpf::enable_statistics().unwrap();
        let loaded = load("getppid", GETPPID);
        aim(&loaded);
        getppid(1000);
        let status = loaded.view().programs.programs().remove(0);
        assert!(status.run_count >= 1000, "{status:?}");
        assert!(status.run_time > Duration::ZERO, "{status:?}");
        drop(guard);
        let _ = bpf::statistics_enabled(&Roots::default());
    });
}

#[test]
fn a_program_that_is_marked_is_left_alone() {
    let spec = load_spec(
        "marked",
        r#"
        SEC("?kprobe/no_such_function") int left_alone(void *ctx) { return 0; }
        SEC("?xdp/no-such-if") int this_too(void *ctx) { return 2; }
        SEC("?perf_event/nonsense") int and_this(void *ctx) { return 0; }
        SEC("raw_tp/sched_process_exec") int attached(void *ctx) { return 0; }
        "#,
    );
    let loaded = bpf::load(&spec, &host(), &bpf::Options { debug: true, ..bpf::Options::default() }).unwrap();
    assert_eq!((loaded.problems(), loaded.unattached()), (&[][..], vec![]));
    let names: Vec<_> = loaded.view().programs.programs().into_iter().map(|program| program.name).collect();
    assert_eq!(names, ["attached"]);
}
