use std::collections::BTreeMap;
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use crate::common::dns::{A, AAAA, Client, Server, query, with_globals_in};
use crate::common::exporter::{Exporter, value_of, values_of};
use crate::matrix;

// The same tests as on the kernel of the machine that builds.

/// Block devices.
#[path = "../it/shipped/block.rs"]
mod block;

/// The page cache: what reads find there.
#[path = "../it/shipped/cache.rs"]
#[allow(dead_code)]
mod cache;

/// System calls.
#[path = "../it/shipped/calls.rs"]
mod calls;

/// ext4 below the VFS.
#[path = "../it/shipped/ext4.rs"]
#[allow(dead_code)]
mod ext4;

/// Control groups of our own.
#[path = "../it/shipped/groups.rs"]
pub mod groups;

/// Packets through network interfaces.
#[path = "../it/shipped/interfaces.rs"]
#[allow(dead_code)]
mod interfaces;

/// Interrupts, and what is put off in them.
#[path = "../it/shipped/interrupts.rs"]
mod interrupts;

/// Memory: faults, reclaim, the page cache, and what happens when there is none left.
#[path = "../it/shipped/memory.rs"]
mod memory;

/// A file system of our own.
#[path = "../it/shipped/mounted.rs"]
mod mounted;

/// What goes over the network and between sockets.
#[path = "../it/shipped/network.rs"]
#[allow(dead_code)]
mod network;

/// BPF itself, whoever loaded it.
#[path = "../it/shipped/objects.rs"]
mod objects;

/// Starts and ends of processes, and what is sent to them.
#[path = "../it/shipped/processes.rs"]
mod processes;

/// Who has a CPU, who waits for one, and who sleeps.
#[path = "../it/shipped/scheduler.rs"]
mod scheduler;

/// What they share.
#[path = "../it/shipped/support.rs"]
mod support;

/// Swap.
#[path = "../it/shipped/swap.rs"]
#[allow(dead_code)]
mod swap;

/// Workloads that are told apart from all others.
#[path = "../it/shipped/workloads.rs"]
mod workloads;

use support::{Held, assert_held, count, eventually, hold, in_page, run, shell, spinners, workload};

/// These kernels show every event.
const LEFT_OUT: f64 = 0.0;

/// The workload of these tests, linked statically.
static WORKLOAD_PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| PathBuf::from("/bin/workload"));

/// There is no compiler here: programs were compiled where the tests were.
fn compile(name: &str, _text: &str) -> PathBuf {
    Path::new("/bin").join(name)
}

/// Nor does a guest make file systems: one was made where the tests were compiled.
#[track_caller]
fn make_ext4(device: &Path) {
    run(Command::new("dd").args(["if=/guest/ext4.image", "bs=64k"]).arg(format!("of={}", device.display())));
}

/// A machine without disks still has a serial line, which asks for more by an interrupt.
fn cause_interrupts() {
    std::fs::write("/dev/ttyS0", "\r\n".repeat(200)).unwrap();
}

/// Some of the pairs that are shipped, each program of which must attach.
#[track_caller]
fn start(names: &str) -> Exporter {
    start_with(names, &[])
}

/// The same with more flags.
#[track_caller]
fn start_with(names: &str, flags: &[&str]) -> Exporter {
    // Whoever starts some of them holds their numbers against what happened.
    names.split(',').for_each(|name| matrix::record("compared", name, "true"));
    let names = format!("--config.names={names}");
    let all = ["--config.dir=/configs", "--object.dir=/bpf-objects", "--config.strict", &names];
    Exporter::start(&[&all, flags].concat())
}

/// Every pair.
#[track_caller]
pub fn start_all() -> Exporter {
    Exporter::start(&["--config.dir=/configs", "--object.dir=/bpf-objects", "--config.strict"])
}

/// What the series of a page with a name grew by, by labels; none that did not.
fn growth(before: &str, after: &str, name: &str) -> BTreeMap<String, f64> {
    let samples = |page| -> BTreeMap<String, f64> {
        let text = |labels: BTreeMap<String, String>| {
            labels.iter().map(|(label, value)| format!("{label}={value}")).collect::<Vec<_>>().join(",")
        };
        let samples = values_of(page, &format!("ebpf_exporter_{name}"));
        samples.into_iter().map(|(labels, value)| (text(labels), value)).collect()
    };
    let before = samples(before);
    let mut growth = samples(after);
    growth.iter_mut().for_each(|(series, value)| *value -= before.get(series).copied().unwrap_or(0.0));
    growth.retain(|_, value| *value != 0.0);
    growth
}

#[track_caller]
fn status(program: &str, arguments: &[&str]) -> Option<i32> {
    let status = Command::new(program).args(arguments).stderr(Stdio::null()).status();
    status.unwrap_or_else(|error| panic!("{program}: {error}")).code()
}

/// Every pair at once: verifying their programs takes an emulated processor long, so that it is done once.
#[test]
fn side_by_side_they_count_what_happens() {
    let exporter = start_all();
    all_of_them_are_served_with_every_program(&exporter);
    processes_are_exact(&exporter);
    failed_calls_are_exact(&exporter);
    softirqs_are_those_of_the_kernel(&exporter);
    waits_and_queues_are_there(&exporter);
    block_requests_are_exact(&exporter);
    every_dns_message_counts_once(&exporter);
}

fn all_of_them_are_served_with_every_program(exporter: &Exporter) {
    let page = exporter.page();
    let configs = std::fs::read_dir("/configs").unwrap().count();
    let loaded = values_of(&page, "ebpf_exporter_config_loaded");
    assert_eq!(loaded.len(), configs, "{loaded:?}");
    assert!(loaded.iter().all(|(_, loaded)| *loaded == 1.0), "{loaded:?}");
    let success = values_of(&page, "ebpf_exporter_config_scrape_success");
    assert!(success.len() == configs && success.iter().all(|(_, success)| *success == 1.0), "{success:?}");
    for (pair, cell) in matrix::pairs(&page, &exporter.log()) {
        matrix::record("pairs, plain", &pair, &cell);
    }
}

/// Nobody else runs: every start and end is one of ours.
fn processes_are_exact(exporter: &Exporter) {
    std::fs::create_dir_all("/sys/fs/cgroup/workload").unwrap();
    let before = exporter.page();
    for _ in 0..120 {
        assert_eq!(status("/bin/true", &[]), Some(0));
    }
    for _ in 0..30 {
        assert_eq!(status("/bin/sh", &["-c", "exit 217"]), Some(217));
    }
    for _ in 0..20 {
        assert_eq!(status("/bin/sh", &["-c", "kill -16 $$"]), None);
    }
    let script = "echo $$ > /sys/fs/cgroup/workload/cgroup.procs; exec /bin/true";
    for _ in 0..10 {
        assert_eq!(status("/bin/sh", &["-c", script]), Some(0));
    }
    let after = exporter.page();

    #[track_caller]
    fn check(growth: &BTreeMap<String, f64>, expected: &[(&str, f64)]) {
        let growth: Vec<_> = growth.iter().map(|(series, value)| (series.as_str(), *value)).collect();
        assert_eq!(growth, expected);
    }
    let grown = |name: &str| growth(&before, &after, name);
    let mut forks = grown("task_forks_total");
    assert_eq!(forks.remove("kind=process"), Some(180.0), "{forks:?}");
    check(
        &grown("process_execs_total"),
        &[("cgroup=/sys/fs/cgroup", 180.0), ("cgroup=/sys/fs/cgroup/workload", 10.0)],
    );
    check(&grown("process_exits_total"), &[("code=0", 130.0), ("code=217", 30.0)]);
    check(&grown("process_kills_total"), &[("signal=SIGSTKFLT", 20.0)]);
    assert_eq!(grown("task_exits_total")["kind=process"], 180.0);
}

fn failed_calls_are_exact(exporter: &Exporter) {
    let before = exporter.page();
    let too_long = "x".repeat(5000);
    for _ in 0..123 {
        File::open(&too_long).unwrap_err();
    }
    for _ in 0..77 {
        rustix::fs::fallocate(File::open("/init").unwrap(), rustix::fs::FallocateFlags::empty(), 0, 1)
            .unwrap_err();
    }
    let after = exporter.page();
    let calls = growth(&before, &after, "syscalls_total");
    assert_eq!(calls["syscall=fallocate"], 77.0, "{calls:?}");
    let errors = growth(&before, &after, "syscall_errors_total");
    assert_eq!(errors["errno=ENAMETOOLONG,syscall=openat"], 123.0, "{errors:?}");
    assert_eq!(errors["errno=EBADF,syscall=fallocate"], 77.0, "{errors:?}");
}

/// The page stands between two readings of the kernel's own counters, but for one in flight.
fn softirqs_are_those_of_the_kernel(exporter: &Exporter) {
    type Counts = BTreeMap<String, f64>;
    let kernel = || -> Counts {
        let text = std::fs::read_to_string("/proc/softirqs").unwrap();
        let lines = text.lines().skip(1).map(|line| {
            let (vector, numbers) = line.split_once(':').unwrap();
            let sum = numbers.split_whitespace().map(|number| number.parse::<f64>().unwrap()).sum();
            (vector.trim().to_lowercase(), sum)
        });
        lines.collect()
    };
    let page = || -> Counts {
        let mut counts = Counts::new();
        for (labels, count) in exporter.values("ebpf_exporter_softirqs_total") {
            *counts.entry(labels["vec"].clone()).or_default() += count;
        }
        counts
    };
    let hold = || (kernel(), page(), kernel());
    let first = hold();
    std::thread::sleep(std::time::Duration::from_secs(1));
    let second = hold();
    let in_flight = libbpf_rs::num_possible_cpus().unwrap() as f64;
    for vector in first.0.keys() {
        let page = second.1[vector] - first.1[vector];
        let (least, most) = (second.0[vector] - first.2[vector], second.2[vector] - first.0[vector]);
        assert!(
            least - in_flight <= page && page <= most + in_flight,
            "{vector}: {page} is not between {least} and {most}"
        );
    }
    assert!(second.1["timer"] > first.1["timer"], "the timer ticks");
}

fn waits_and_queues_are_there(exporter: &Exporter) {
    const SLEEPS: u32 = 100;
    let before = exporter.page();
    for _ in 0..SLEEPS {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let after = exporter.page();
    let waits = growth(&before, &after, "run_queue_latency_seconds_count");
    assert!(waits.values().sum::<f64>() >= f64::from(SLEEPS), "{waits:?}");
    let infinite = value_of(&after, "ebpf_exporter_run_queue_latency_seconds_bucket{le=\"+Inf\"}");
    assert_eq!(infinite, value_of(&after, "ebpf_exporter_run_queue_latency_seconds_count"));
    let queues = values_of(&after, "ebpf_exporter_run_queue_tasks");
    assert_eq!(queues.len(), libbpf_rs::num_possible_cpus().unwrap(), "{queues:?}");
}

fn block_requests_are_exact(exporter: &Exporter) {
    const BLOCK: &str = "bs=4096";
    std::fs::create_dir_all("/tmp/disk").unwrap();
    let file = File::create("/tmp/disk/image").unwrap();
    file.set_len(4 << 20).unwrap();
    assert_eq!(status("losetup", &["/dev/loop0", "/tmp/disk/image"]), Some(0));
    let before = exporter.page();
    assert_eq!(status("dd", &["if=/dev/loop0", "of=/dev/null", BLOCK, "count=200", "iflag=direct"]), Some(0));
    assert_eq!(status("dd", &["if=/dev/zero", "of=/dev/loop0", BLOCK, "count=50", "oflag=direct"]), Some(0));
    let after = exporter.page();
    assert_eq!(status("losetup", &["-d", "/dev/loop0"]), Some(0));
    let requests = growth(&before, &after, "block_io_latency_seconds_count");
    let expected = [("device=loop0,operation=read", 200.0), ("device=loop0,operation=write", 50.0)];
    assert_eq!(requests, expected.map(|(series, count)| (series.to_owned(), count)).into(), "{after}");
}

/// Nobody else asks, so that every message at the port of DNS is one of these.
fn every_dns_message_counts_once(exporter: &Exporter) {
    matrix::record("compared", "dns", "true");
    let server = Server::at("127.0.0.1:53".parse().unwrap());
    let before = exporter.page();
    let client = Client::new(server.address);
    for id in 0..200 {
        client.ask(&query(id, "www.example.com", A));
    }
    for id in 0..100 {
        client.ask(&query(id, "nxdomain.example.com", AAAA));
    }
    client.send(b"nothing");
    let after = exporter.page();
    #[track_caller]
    fn check(growth: &BTreeMap<String, f64>, expected: &[(&str, f64)]) {
        let growth: Vec<_> = growth.iter().map(|(series, value)| (series.as_str(), *value)).collect();
        assert_eq!(growth, expected);
    }
    let grown = |name: &str| growth(&before, &after, name);
    check(
        &grown("dns_queries_total"),
        &[("protocol=udp,role=client,type=A", 200.0), ("protocol=udp,role=client,type=AAAA", 100.0)],
    );
    check(
        &grown("dns_responses_total"),
        &[
            ("protocol=udp,rcode=NOERROR,role=client,type=A", 200.0),
            ("protocol=udp,rcode=NXDOMAIN,role=client,type=AAAA", 100.0),
        ],
    );
    check(&grown("dns_response_latency_seconds_count"), &[("protocol=udp,role=client", 300.0)]);
    check(&grown("dns_malformed_total"), &[("fault=short,protocol=udp,role=client", 1.0)]);
    for nothing in ["dns_queries_unanswered_total", "dns_responses_unmatched_total"] {
        check(&grown(nothing), &[]);
    }
}

/// With names on: the programs that the verifier sees then, and what their events come to.
#[test]
fn dns_names_and_losses_add_up() {
    let text = std::fs::read_to_string("/configs/dns.yaml").unwrap();
    std::fs::create_dir_all("/tmp/dns").unwrap();
    let globals = "names: true, dns_events_settings: {rate: 50, sample: 4}";
    std::fs::write("/tmp/dns/dns.yaml", with_globals_in(&text, globals)).unwrap();
    let exporter =
        Exporter::start(&["--config.dir=/tmp/dns", "--object.dir=/bpf-objects", "--config.strict"]);
    let server = Server::at("127.0.0.1:53".parse().unwrap());
    let client = Client::new(server.address);
    for id in 0..800 {
        client.ask(&query(id, "www.example.com", A));
    }
    for id in 0..40 {
        client.ask(&query(id, "servfail.example.com", A));
    }
    let page = exporter.page();
    let lost = values_of(&page, "ebpf_exporter_events_lost_total");
    let lost: BTreeMap<_, _> =
        lost.iter().map(|(labels, value)| (labels["reason"].as_str(), *value)).collect();
    let events = "ebpf_exporter_events_total{config=\"dns\",source=\"dns_events\"}";
    let delivered = value_of(&page, events).unwrap();
    assert_eq!(delivered + lost.values().sum::<f64>(), 840.0, "{lost:?}");
    assert_eq!((lost["ring_full"], lost["map_full"]), (0.0, 0.0));
    // Three of four, but for where each CPU is in its four.
    assert!((lost["sampled_out"] - 600.0).abs() <= 3.0, "{lost:?}");
    let named = values_of(&page, "ebpf_exporter_dns_responses_by_name_total");
    assert_eq!(named.iter().map(|(_, value)| value).sum::<f64>(), delivered, "{named:?}");
    assert!(named.iter().all(|(labels, _)| labels["name"].ends_with(".example.com")), "{named:?}");
}

#[test]
fn tcp_connections_are_exact() {
    let exporter = start("tcpconnect");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let before = exporter.page();
    for _ in 0..30 {
        drop(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    }
    for _ in 0..20 {
        TcpStream::connect(nowhere).unwrap_err();
    }
    let after = exporter.page();
    let results = growth(&before, &after, "tcp_connects_total");
    // And the connection of the second scrape.
    let expected = [("result=ECONNREFUSED", 20.0), ("result=established", 31.0)];
    assert_eq!(results, expected.map(|(series, count)| (series.to_owned(), count)).into());
    let by_process = growth(&before, &after, "tcp_connects_by_process_total");
    assert_eq!(by_process.values().sum::<f64>(), 51.0, "{by_process:?}");
    assert_eq!(growth(&before, &after, "tcp_handshake_latency_seconds_count").values().sum::<f64>(), 31.0);
}
