use std::time::{Duration, Instant};

use super::Workload;
use crate::common::exporter::{Exporter, value_of, values_of};
use crate::common::folder::Folder;

const PATIENCE: Duration = Duration::from_secs(60);

/// Calls are counted by one of two keys, taken in turns, which are one series.
const MAPS: &str = "struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 10); __type(key, u32); __type(value, u64); } m SEC(\".maps\"); u32 turn;";
const BODY: &str = "u32 key = 1 + turn++ % 2; u64 one = 1, *value = bpf_map_lookup_elem(&m, &key); if (value) *value += 1; else bpf_map_update_elem(&m, &key, &one, BPF_ANY);";

/// Waits for a page of which this is so.
#[track_caller]
fn wait(exporter: &Exporter, is_so: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let page = exporter.page();
        if is_so(&page) {
            return page;
        }
        assert!(Instant::now() < deadline, "{page}\n{}", exporter.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn entries_that_do_not_change_are_taken_out_and_nothing_is_lost() {
    let calls = Workload::new();
    let folder = Folder::new();
    let yaml = "maps: {m: {expire: 1s}}\nmetrics: {counters: [{name: m, help: h, labels: [{name: k, size: 4, decoders: [{name: uint}, {name: static_map, static_map: {1: x, 2: x}}]}]}]}\n";
    folder.pair("expiring", yaml, &calls.object(MAPS, BODY));
    // Without the rights to load, as it should be run.
    let exporter = Exporter::start(&[&folder.argument(), "--capabilities.keep=none"]);
    let entries = "ebpf_exporter_map_entries{config=\"expiring\",map=\"m\"}";
    let expired = "ebpf_exporter_map_expired_entries_total{config=\"expiring\",map=\"m\"}";
    for turn in 1..=2u32 {
        calls.fire(501);
        wait(&exporter, |page| {
            value_of(page, entries) == Some(0.0) && value_of(page, expired) == Some(f64::from(turn) * 2.0)
        });
    }
    calls.fire(1);
    // If it was taken out before the page was made, the next one shows it.
    let deadline = Instant::now() + PATIENCE;
    let mut counted = 1003.0;
    loop {
        match exporter.value("ebpf_exporter_m{k=\"x\"}") {
            Some(value) => break assert_eq!(value, counted),
            None => assert!(Instant::now() < deadline, "{}", exporter.log()),
        }
        calls.fire(1);
        counted += 1.0;
    }
}

#[test]
fn a_limit_for_all_metrics_is_told_and_kept() {
    let calls = Workload::new();
    let folder = Folder::new();
    let yaml = |limit: &str| {
        format!(
            "metrics: {{counters: [{{name: m, help: h, {limit} labels: [{{name: k, size: 4, decoders: [{{name: uint}}]}}]}}]}}\n"
        )
    };
    for (name, limit) in [("dropped", ""), ("folded", "other: {k: rest},"), ("all", "max_series: 0,")] {
        let object = calls.object(MAPS, BODY);
        folder.pair(name, &format!("namespace: {name}\n{}", yaml(limit)), &object);
    }
    let exporter = Exporter::start(&[&folder.argument(), "--metrics.max-series=1", "--config.strict"]);
    calls.fire(100);
    let page = exporter.page();
    let series = |name: &str| -> Vec<(String, f64)> {
        let mut found: Vec<_> =
            values_of(&page, name).into_iter().map(|(labels, value)| (labels["k"].clone(), value)).collect();
        found.sort_by(|one, other| one.0.cmp(&other.0));
        found
    };
    let half = |label: &str| (label.to_owned(), 50.0);
    assert_eq!(series("all_m"), [half("1"), half("2")]);
    let dropped = series("dropped_m");
    assert!(dropped == [half("1")] || dropped == [half("2")], "{page}");
    let folded = series("folded_m");
    assert!(folded == [half("1"), half("rest")] || folded == [half("2"), half("rest")], "{page}");
    let limited = |config: &str, reason: &str| {
        let series = format!(
            "ebpf_exporter_metric_limited_label_sets_total{{config=\"{config}\",metric=\"m\",reason=\"{reason}\"}}"
        );
        value_of(&page, &series)
    };
    assert_eq!(limited("dropped", "max_series"), Some(1.0), "{page}");
    assert_eq!(limited("folded", "other"), Some(1.0), "{page}");
    assert_eq!(limited("all", "max_series"), None, "{page}");
    // The next pages show the same.
    for _ in 0..3 {
        let again = exporter.page();
        for name in ["dropped_m{", "folded_m{"] {
            let of = |page: &str| -> Vec<String> {
                let mut lines: Vec<_> =
                    page.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect();
                lines.sort();
                lines
            };
            assert_eq!(of(&again), of(&page));
        }
    }
}
