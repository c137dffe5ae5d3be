use std::time::{Duration, Instant};

use crate::common::exporter::{Exporter, value_of};
use crate::common::folder::Folder;
use crate::common::kernel::{run, with_network};

const SOURCE: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } m SEC(".maps");
SEC("SECTION") int packets(struct xdp_md *context) { return XDP_PASS; }
SEC("perf_event/type=1,config=0,frequency=9") int clock(void *context) { return 0; }
"#;

const METRICS: &str = "metrics: {counters: [{name: m, help: h}]}\n";

/// Waits until a series has a value.
#[track_caller]
fn wait_for(exporter: &Exporter, series: &str, expected: f64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while exporter.value(series) != Some(expected) {
        assert!(Instant::now() < deadline, "{series} in {}", exporter.page());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until something was logged.
#[track_caller]
fn wait_for_log(exporter: &Exporter, expected: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !exporter.log().contains(expected) {
        assert!(Instant::now() < deadline, "{expected} in {}", exporter.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn add(name: &str) {
    run("ip", &["link", "add", name, "type", "veth", "peer", "name", &format!("far-{name}")]);
}

#[test]
fn interfaces_that_come_are_followed_and_told() {
    with_network(|| {
        let folder = Folder::new();
        let place = "programs: {packets: {attach: {xdp: {interface: \"late*\", mode: generic}}}}\n";
        let source = SOURCE.replace("SECTION", "xdp");
        folder.compiled_pair("late", &format!("{place}{METRICS}"), &source);
        let exporter = Exporter::start(&[&folder.argument(), "--config.strict"]);
        let places = "ebpf_exporter_program_places{config=\"late\",program=\"packets\"}";
        let verdict = |verdict: &str| {
            format!(
                "ebpf_exporter_program_verdict{{config=\"late\",program=\"packets\",verdict=\"{verdict}\"}}"
            )
        };
        let page = exporter.page();
        assert_eq!(value_of(&page, places), Some(0.0), "{page}");
        assert_eq!(value_of(&page, &verdict("waiting")), Some(1.0), "{page}");
        assert!(exporter.get("/").text().contains("<code>packets</code>: waiting"));
        for (count, name) in [(1.0, "late0"), (2.0, "late1")] {
            add(name);
            wait_for(&exporter, places, count);
        }
        assert_eq!(exporter.value(&verdict("attached")), Some(1.0));
        assert!(exporter.get("/").text().contains("<code>packets</code>: attached (at 2 places)"));
        run("ip", &["link", "delete", "late0"]);
        wait_for(&exporter, places, 1.0);
        // The place alone changes: what stays is not touched, the rest follows.
        let place = place.replace("late*", "l*");
        folder.file("late.yaml", format!("{place}{METRICS}"));
        wait_for(&exporter, places, 2.0);
        let (status, log) = exporter.stop();
        assert!(status.success(), "{log}");
        assert!(log.contains("place=\"the interface `late1`\""), "{log}");
        assert!(!run("ip", &["link", "show"]).contains("xdp"));
    });
}

/// Places for more programs than there are descriptors: those that are attached stay, and files and pages can still be read.
#[test]
fn more_places_than_descriptors_leave_the_rest_at_work() {
    with_network(|| {
        let folder = Folder::new();
        let place = "programs: {packets: {attach: {xdp: {interface: \"late*\", mode: generic}}}}\n";
        let source = SOURCE.replace("SECTION", "xdp");
        folder.compiled_pair("late", &format!("{place}{METRICS}"), &source);
        let exporter = Exporter::launch_after("ulimit -n 128", &[&folder.argument()]);
        let places = "ebpf_exporter_program_places{config=\"late\",program=\"packets\"}";
        wait_for(&exporter, places, 0.0);
        for number in 0..140 {
            add(&format!("late{number}"));
        }
        wait_for_log(&exporter, "LimitNOFILE");
        let held = exporter.value(places).unwrap();
        assert!((40.0..128.0).contains(&held), "{held} {}", exporter.log());
        // A config that comes now is read, whether there is room for it or not.
        folder.compiled_pair("other", METRICS, &SOURCE.replace("SECTION", "?xdp"));
        wait_for_log(&exporter, "config=other");
        for _ in 0..5 {
            assert!(exporter.value(places).unwrap() >= held);
        }
        for number in 10..140 {
            run("ip", &["link", "delete", &format!("late{number}")]);
        }
        wait_for(&exporter, places, 10.0);
        let (status, log) = exporter.stop();
        assert!(status.success(), "{log}");
        assert!(!log.contains("cannot be read"), "{log}");
    });
}

/// The reference crashes at the end of programs that it attaches itself.
#[test]
fn sections_of_the_reference_end_cleanly() {
    with_network(|| {
        let folder = Folder::new();
        folder.compiled_pair("both", METRICS, &SOURCE.replace("SECTION", "xdp/lo"));
        let exporter = Exporter::start(&[&folder.argument(), "--config.strict"]);
        assert!(run("ip", &["link", "show", "lo"]).contains("xdp"));
        let places = "ebpf_exporter_program_places{config=\"both\",program=\"packets\"}";
        assert_eq!(exporter.value(places), Some(1.0));
        let (status, log) = exporter.stop();
        assert!(status.success(), "{log}");
        assert!(!run("ip", &["link", "show", "lo"]).contains("xdp"));
    });
}
