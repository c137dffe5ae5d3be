use std::collections::BTreeMap;
use std::fs::File;
use std::process::{Command, Stdio};

use crate::common::dns::{A, AAAA, Client, Server, query};
use crate::common::exporter::{Exporter, value_of, values_of};

/// Every pair that is shipped, each program of which must attach.
#[track_caller]
fn start() -> Exporter {
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
fn run(program: &str, arguments: &[&str]) -> Option<i32> {
    let status = Command::new(program).args(arguments).stderr(Stdio::null()).status();
    status.unwrap_or_else(|error| panic!("{program}: {error}")).code()
}

#[test]
fn all_of_them_are_served_with_every_program() {
    let exporter = start();
    let page = exporter.page();
    let configs = std::fs::read_dir("/configs").unwrap().count();
    let loaded = values_of(&page, "ebpf_exporter_config_loaded");
    assert_eq!(loaded.len(), configs, "{loaded:?}");
    assert!(loaded.iter().all(|(_, loaded)| *loaded == 1.0), "{loaded:?}");
    let success = values_of(&page, "ebpf_exporter_config_scrape_success");
    assert!(success.len() == configs && success.iter().all(|(_, success)| *success == 1.0), "{success:?}");
}

/// Nobody else runs: every start and end is one of ours.
#[test]
fn processes_are_exact() {
    let exporter = start();
    std::fs::create_dir_all("/sys/fs/cgroup/workload").unwrap();
    let before = exporter.page();
    for _ in 0..120 {
        assert_eq!(run("/bin/true", &[]), Some(0));
    }
    for _ in 0..30 {
        assert_eq!(run("/bin/sh", &["-c", "exit 217"]), Some(217));
    }
    for _ in 0..20 {
        assert_eq!(run("/bin/sh", &["-c", "kill -16 $$"]), None);
    }
    let script = "echo $$ > /sys/fs/cgroup/workload/cgroup.procs; exec /bin/true";
    for _ in 0..10 {
        assert_eq!(run("/bin/sh", &["-c", script]), Some(0));
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

#[test]
fn failed_calls_are_exact() {
    let exporter = start();
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
#[test]
fn softirqs_are_those_of_the_kernel() {
    let exporter = start();
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

#[test]
fn waits_and_queues_are_there() {
    const SLEEPS: u32 = 100;
    let exporter = start();
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

#[test]
fn block_requests_are_exact() {
    const BLOCK: &str = "bs=4096";
    std::fs::create_dir_all("/tmp/disk").unwrap();
    let file = File::create("/tmp/disk/image").unwrap();
    file.set_len(4 << 20).unwrap();
    assert_eq!(run("losetup", &["/dev/loop0", "/tmp/disk/image"]), Some(0));
    let exporter = start();
    let before = exporter.page();
    assert_eq!(run("dd", &["if=/dev/loop0", "of=/dev/null", BLOCK, "count=200", "iflag=direct"]), Some(0));
    assert_eq!(run("dd", &["if=/dev/zero", "of=/dev/loop0", BLOCK, "count=50", "oflag=direct"]), Some(0));
    let after = exporter.page();
    assert_eq!(run("losetup", &["-d", "/dev/loop0"]), Some(0));
    let requests = growth(&before, &after, "block_io_latency_seconds_count");
    let expected = [("device=loop0,operation=read", 200.0), ("device=loop0,operation=write", 50.0)];
    assert_eq!(requests, expected.map(|(series, count)| (series.to_owned(), count)).into(), "{after}");
}

/// Nobody else asks, so that every message at the port of DNS is one of these.
#[test]
fn every_dns_message_counts_once() {
    let exporter = start();
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
