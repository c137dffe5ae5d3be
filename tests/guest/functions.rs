use std::time::{Duration, Instant};

use rustix::process::{Pid, getpriority_process, setpriority_process};

use crate::common::exporter::Exporter;
use crate::start;

/// Of alternatives, the best one is at work: these kernels have fentry.
#[test]
fn functions_are_followed_where_they_can_be() {
    let names = "--config.names=cachehits,swap,tcpconnections";
    let exporter =
        Exporter::start(&["--config.dir=/configs", "--object.dir=/bpf-objects", "--config.strict", names]);
    for (config, program) in [
        ("cachehits", "cache_read_ends"),
        ("swap", "swap_in_entry"),
        ("swap", "swap_in_exit"),
        ("tcpconnections", "accept_ends"),
    ] {
        let labels = format!("config=\"{config}\",program=\"{program}\",verdict=\"attached\"");
        let series = format!("ebpf_exporter_program_verdict{{{labels}}}");
        assert_eq!(exporter.value(&series), Some(1.0), "{}", exporter.page());
    }
}

/// One probe for each function that matches, also where the kernel has no kprobe.multi.
#[test]
fn a_pattern_of_a_plain_kprobe_is_attached_to_each_function_that_matches() {
    let exporter = start("pattern", &["--config.strict"]);
    // Of a process that is not there: the calls fail, and nobody else makes them here.
    let nobody = Pid::from_raw(i32::MAX);
    for _ in 0..31 {
        getpriority_process(nobody).unwrap_err();
    }
    for _ in 0..17 {
        setpriority_process(nobody, 1).unwrap_err();
    }
    let page = exporter.page();
    let value = |series: &str| crate::common::exporter::value_of(&page, &format!("ebpf_exporter_{series}"));
    for (program, name, expected) in [
        (1, "on_entries", Some(48.0)),
        (2, "on_returns", Some(48.0)),
        (3, "on_none", None),
        (4, "on_all", None),
    ] {
        let counted = value(&format!("matched_calls_total{{program=\"{program}\"}}"));
        assert_eq!(counted, expected, "{name}: {}\n{page}", exporter.log());
        let places = value(&format!("program_places{{config=\"pattern\",program=\"{name}\"}}"));
        assert_eq!(places.unwrap_or(0.0), if expected.is_some() { 2.0 } else { 0.0 }, "{name}: {page}");
    }
    // What was left out says why.
    let log = exporter.log();
    assert!(
        log.contains("no function of this kernel that takes probes matches `__x64_sys_getpriorty*`"),
        "{log}"
    );
    assert!(log.contains("functions of this kernel match `*`, and 512 are the most"), "{log}");
    let probed = || std::fs::read_to_string("/sys/kernel/debug/kprobes/list").unwrap();
    assert_eq!(probed().matches("etpriority").count(), 4, "{}", probed());
    exporter.stop();
    // The kernel takes them off a moment after the process is gone.
    let deadline = Instant::now() + Duration::from_secs(60);
    while probed().contains("etpriority") {
        assert!(Instant::now() < deadline, "{}", probed());
        std::thread::sleep(Duration::from_millis(50));
    }
}
