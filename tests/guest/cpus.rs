use std::time::{Duration, Instant};

use crate::common::exporter::Exporter;
use crate::start;

const LAST: &str = "/sys/devices/system/cpu/cpu1/online";

fn set_online(is_online: bool) {
    std::fs::write(LAST, if is_online { "1" } else { "0" }).unwrap();
}

fn places(exporter: &Exporter) -> Option<f64> {
    exporter.value("ebpf_exporter_program_places{config=\"cpus\",program=\"switched\"}")
}

fn switches(exporter: &Exporter) -> Option<f64> {
    exporter.value("ebpf_exporter_cpu_switches_total{cpu=\"1\"}")
}

/// A look comes once a second.
#[track_caller]
fn wait(exporter: &Exporter, what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: {}\n{}", exporter.log(), exporter.page());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A performance event is on each CPU that is online, on one that comes later as well.
#[test]
fn cpus_that_come_and_go_are_followed() {
    set_online(false);
    let exporter = start("cpus", &["--config.strict"]);
    assert_eq!(places(&exporter), Some(1.0), "{}", exporter.log());
    assert_eq!(switches(&exporter), Some(0.0), "{}", exporter.page());
    for round in 1..=3 {
        set_online(true);
        wait(&exporter, "the second CPU came", || places(&exporter) == Some(2.0));
        let before = switches(&exporter);
        wait(&exporter, "it counts", || switches(&exporter) > before);
        set_online(false);
        wait(&exporter, "it went", || places(&exporter) == Some(1.0));
        let after = switches(&exporter);
        assert!(after > before, "what it counted stays, round {round}");
    }
    set_online(true);
    assert!(!exporter.log().contains("level=error"), "{}", exporter.log());
}
