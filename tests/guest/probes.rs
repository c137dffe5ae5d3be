use std::fs::File;
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate};

use crate::common::exporter::{Exporter, value_of, values_of};
use crate::{Refused, start};

/// The magic number of tmpfs, where the files are.
const TMPFS: u32 = 0x0102_1994;

/// Calls with two modes, and some that fail in two ways.
fn workload() {
    let file = File::create("/tmp/allocated").unwrap();
    for _ in 0..137 {
        fallocate(&file, FallocateFlags::empty(), 0, 4096).unwrap();
    }
    for length in 1..=50 {
        fallocate(&file, FallocateFlags::KEEP_SIZE, 0, length).unwrap();
    }
    for _ in 0..21 {
        assert_eq!(fallocate(&file, FallocateFlags::KEEP_SIZE, 0, 0), Err(rustix::io::Errno::INVAL));
    }
    let refused = Refused::new();
    (0..13).for_each(|_| refused.call(0, 1));
}

#[track_caller]
fn check(exporter: &Exporter, entry: &str, exit: &str) {
    let page = exporter.page();
    let expect = |series: String, value: f64| {
        assert_eq!(value_of(&page, &format!("ebpf_exporter_{series}")), Some(value), "{series} in\n{page}");
    };
    expect(format!("{entry}_calls_total{{mode=\"0\"}}"), 150.0);
    expect(format!("{entry}_calls_total{{mode=\"1\"}}"), 71.0);
    expect(format!("{entry}_bytes_total{{mode=\"0\"}}"), f64::from(137 * 4096 + 13));
    expect(format!("{entry}_bytes_total{{mode=\"1\"}}"), f64::from(50 * 51 / 2));
    expect(format!("{entry}_file_systems_total{{magic=\"{TMPFS}\"}}"), 221.0);
    expect(format!("{exit}_results_total{{result=\"0\"}}"), 187.0);
    expect(format!("{exit}_results_total{{result=\"-22\"}}"), 21.0);
    expect(format!("{exit}_results_total{{result=\"-9\"}}"), 13.0);
    let results = values_of(&page, &format!("ebpf_exporter_{exit}_results_total"));
    assert_eq!(results.len(), 3, "no other result: {results:?}");
}

#[test]
fn kprobes_and_kretprobes_count_every_call() {
    let exporter = start("kprobe", &["--config.strict"]);
    workload();
    check(&exporter, "kprobe", "kretprobe");
}

#[test]
fn fentry_and_fexit_count_every_call() {
    let exporter = start("fentry", &["--config.strict"]);
    workload();
    check(&exporter, "fentry", "fexit");
}

#[test]
fn all_four_side_by_side_count_alike_and_the_kernel_agrees() {
    let exporter = start("fentry,kprobe", &["--config.strict", "--bpf.stats=on"]);
    workload();
    check(&exporter, "kprobe", "kretprobe");
    check(&exporter, "fentry", "fexit");
    let runs = exporter.values("ebpf_exporter_ebpf_program_run_count_total");
    let runs: Vec<f64> = runs.into_iter().map(|(_, count)| count).collect();
    assert_eq!(runs, [221.0; 4], "runs of the four programs, counted by the kernel");
}

#[test]
fn sigterm_detaches_all_of_them() {
    let programs = || libbpf_rs::query::ProgInfoIter::default().count();
    let kprobes = || std::fs::read_to_string("/sys/kernel/debug/kprobes/list").unwrap();
    let traced = || std::fs::read_to_string("/sys/kernel/tracing/enabled_functions").unwrap();
    // Linux 5.10 traces a function still whose module came anew after it was probed.
    let before = (0, String::new(), traced());
    assert_eq!((programs(), kprobes()), (0, String::new()), "before");

    let exporter = start("fentry,kaddrs,kprobe,maps", &["--config.strict"]);
    assert_eq!(programs(), 6);
    assert!(kprobes().contains("vfs_fallocate"), "{}", kprobes());
    assert!(traced().contains("vfs_fallocate"), "{}", traced());
    let (status, log) = exporter.stop();
    assert!(status.success(), "{log}");
    // The kernel frees programs and traces of them a moment after the process is gone.
    let deadline = Instant::now() + Duration::from_secs(60);
    while (programs(), kprobes(), traced()) != before {
        assert!(
            Instant::now() < deadline,
            "{} programs stay, probes {:?}, traces {:?}",
            programs(),
            kprobes(),
            traced()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// `jiffies` is a variable of the kernel: its address comes from kallsyms, and the clock stands there.
#[test]
fn kaddrs_of_a_variable_lead_to_it() {
    let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap();
    let address = symbols.lines().find_map(|line| line.strip_suffix(" jiffies")).unwrap();
    let address = u64::from_str_radix(address.split(' ').next().unwrap(), 16).unwrap();
    assert_ne!(address, 0);
    let clock = || -> f64 {
        let timers = std::fs::read_to_string("/proc/timer_list").unwrap();
        let line = timers.lines().find_map(|line| line.strip_prefix("jiffies: "));
        line.unwrap().parse().unwrap()
    };

    let exporter = start("kaddrs", &["--config.strict"]);
    let before = clock();
    Refused::new().call(0, 1);
    let after = clock();
    let page = exporter.page();
    let value = |name: &str| value_of(&page, &format!("ebpf_exporter_{name}")).unwrap();
    assert_eq!(value("jiffies_page"), (address >> 12) as f64);
    let now = value("jiffies_now");
    assert!(before <= now && now <= after, "{before} <= {now} <= {after}");
}
