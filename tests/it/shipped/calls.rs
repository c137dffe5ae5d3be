//! System calls.

use std::time::Instant;

use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::common::exporter::Exporter;

use super::groups::ControlGroup;
use super::{count, eventually, start, workload};

#[test]
fn system_calls_and_their_errors_are_exact() {
    let exporter = start("syscalls");
    let calls = |syscall: &str| format!("ebpf_exporter_syscalls_total{{syscall=\"{syscall}\"}}");
    let errors = |errno: &str, syscall: &str| {
        format!("ebpf_exporter_syscall_errors_total{{errno=\"{errno}\",syscall=\"{syscall}\"}}")
    };
    let missing = errors("ENOENT", "openat");
    let missing_before = count(&exporter, &missing);

    workload("refused-call", 321, "");
    workload("no-such-call", 45, "");
    let too_long = "x".repeat(5000);
    for _ in 0..123 {
        assert!(std::fs::File::open(&too_long).is_err());
        assert!(std::fs::File::open("/nowhere/at/all").is_err());
    }

    assert_eq!(count(&exporter, &calls("remap_file_pages")), 321.0);
    assert_eq!(count(&exporter, &errors("EINVAL", "remap_file_pages")), 321.0);
    assert_eq!(count(&exporter, &calls("unknown_syscall:-1")), 45.0);
    assert_eq!(count(&exporter, &errors("ENOSYS", "unknown_syscall:-1")), 45.0);
    assert_eq!(count(&exporter, &errors("ENAMETOOLONG", "openat")), 123.0);
    assert!(count(&exporter, &missing) - missing_before >= 123.0);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn calls_by_the_32_bit_table_have_no_64_bit_name() {
    let exporter = start("syscalls");
    let compat = "ebpf_exporter_compat_syscalls_total";
    // Number 20 is getpid in the one table and writev in the other.
    let before = count(&exporter, compat);
    workload("32-bit-call", 77, "");
    assert_eq!(count(&exporter, compat) - before, 77.0);
}

#[test]
fn calls_and_errors_belong_to_the_group_that_made_them() {
    const CALLS: u32 = 300;
    let exporter = start("cgroupsyscalls");
    let (busy, quiet) = (ControlGroup::new(), ControlGroup::new());
    busy.work("calls", CALLS, "");
    quiet.work("nothing", 0, "");
    // With half as many that fail, and the end.
    assert_eq!(busy.value(&exporter, "cgroup_syscalls_total"), f64::from(CALLS + CALLS / 2 + 1));
    assert_eq!(quiet.value(&exporter, "cgroup_syscalls_total"), 1.0);
    let errors = exporter.values("ebpf_exporter_cgroup_syscall_errors_total");
    let own = errors.iter().filter(|(labels, _)| labels["cgroup"].ends_with(&busy.name));
    let own: Vec<_> = own.map(|(labels, count)| (labels["errno"].as_str(), *count)).collect();
    assert_eq!(own, [("EINVAL", f64::from(CALLS / 2))]);
}

#[test]
fn calls_take_as_long_as_they_wait() {
    const TIMES: u32 = 60;
    let exporter = start("syscalltime");
    let value = |what: &str, syscall: &str| {
        count(&exporter, &format!("ebpf_exporter_syscall_time_seconds_{what}{{syscall=\"{syscall}\"}}"))
    };
    // A call that nobody else makes; each waits for 10 ms.
    let before = value("sum", "rt_sigtimedwait");
    let counted = value("count", "rt_sigtimedwait");
    let begin = Instant::now();
    workload("wait-for-a-signal", TIMES, "");
    let wall = begin.elapsed().as_secs_f64();
    assert_eq!(value("count", "rt_sigtimedwait") - counted, f64::from(TIMES));
    let (least, seconds) = (f64::from(TIMES) * 0.01, value("sum", "rt_sigtimedwait") - before);
    assert!((least..=wall).contains(&seconds), "{seconds} s, at least {least} in {wall} s");

    workload("refused-timer", 222, "");
    assert_eq!(value("count", "getitimer"), 222.0);
}

/// The map of a name among those that the exporter holds.
fn map_of(exporter: &Exporter, name: &str) -> MapHandle {
    let folder = std::fs::read_dir(format!("/proc/{}/fdinfo", exporter.pid())).unwrap();
    let texts = folder.filter_map(|entry| std::fs::read_to_string(entry.unwrap().path()).ok());
    let ids = texts
        .filter_map(|text| text.lines().find_map(|line| line.strip_prefix("map_id:")?.trim().parse().ok()));
    let maps = ids.map(|id: u32| MapHandle::from_map_id(id).unwrap());
    let mut named = maps.filter(|map| map.name().to_str() == Some(name));
    named.next().unwrap_or_else(|| panic!("the exporter has no map {name}"))
}

#[test]
fn what_is_killed_in_a_call_leaves_nothing_behind() {
    #[track_caller]
    fn check(config: &str, map: &str) {
        let exporter = start(config);
        let map = map_of(&exporter, map);
        let group = ControlGroup::new();
        let mut child = group.begin("futex-forever", 1, "");
        let mut key = 0_i32;
        let has = |key: i32| map.lookup(&key.to_ne_bytes(), MapFlags::ANY).unwrap().is_some();
        eventually("its wait has begun", || {
            key = group.processes().first().copied().unwrap_or_default();
            key != 0 && has(key)
        });
        group.kill();
        child.wait().unwrap();
        assert!(!has(key), "{config}: {key}");
    }
    check("futex", "waiting_since");
    check("syscalltime", "in_call");
}

#[test]
fn waits_for_a_futex_are_exact() {
    const WAITS: u32 = 80;
    let exporter = start("futex");
    let group = ControlGroup::new();
    // Each waits for 5 ms, and as many calls wake nobody.
    let usage = group.work("futex-waits", WAITS, "");
    assert_eq!(group.value(&exporter, "cgroup_futex_wait_seconds_count"), f64::from(WAITS));
    let (least, seconds) =
        (f64::from(WAITS) * 0.005, group.value(&exporter, "cgroup_futex_wait_seconds_sum"));
    let wall = usage.get("wall");
    assert!((least..=wall).contains(&seconds), "{seconds} s, at least {least} in {wall} s");
}

#[test]
fn opens_that_fail_are_those_of_the_program() {
    const FAILURES: usize = 70;
    let exporter = start("opens");
    let comm = "bpftally-opens";
    let work = || {
        for _ in 0..FAILURES {
            assert!(std::fs::File::open("/nowhere/at/all").is_err());
            assert!(std::fs::File::open("/proc/self/stat").is_ok());
            assert!(std::fs::File::create("/proc").is_err());
        }
    };
    std::thread::Builder::new().name(comm.to_owned()).spawn(work).unwrap().join().unwrap();
    let failures = exporter.values("ebpf_exporter_open_failures_total");
    let own = failures.iter().filter(|(labels, _)| labels["comm"] == comm);
    let mut own: Vec<_> = own.map(|(labels, count)| (labels["errno"].as_str(), *count)).collect();
    own.sort_by_key(|(errno, _)| *errno);
    assert_eq!(own, [("EISDIR", FAILURES as f64), ("ENOENT", FAILURES as f64)]);
}

#[test]
fn commands_to_bpf_are_exact() {
    let exporter = start("bpfcalls");
    let calls = |command: &str| {
        count(&exporter, &format!("ebpf_exporter_bpf_commands_total{{command=\"{command}\"}}"))
    };
    let errors = |command: &str, errno: &str| {
        let labels = format!("command=\"{command}\",errno=\"{errno}\"");
        count(&exporter, &format!("ebpf_exporter_bpf_command_errors_total{{{labels}}}"))
    };
    workload("bpf-link-detach", 55, "");
    workload("bpf-no-such-command", 21, "");
    assert_eq!((calls("link_detach"), errors("link_detach", "EBADF")), (55.0, 55.0));
    assert_eq!((calls("unknown:-1"), errors("unknown:-1", "EINVAL")), (21.0, 21.0));
}
