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
