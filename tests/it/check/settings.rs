//! What a config sets of its object counts for what is said of both.

use super::*;

const OBJECT: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } m SEC(".maps");
SEC("raw_tp/sched_switch") int probe(void *ctx) { return 0; }
SEC("?xdp") int packets(void *ctx) { return 2; }
"#;
const METRIC: &str = "metrics: {counters: [{name: m, map: m, help: h, labels: [k]}]}\n";

#[track_caller]
fn check(set: &str, series: &str, has_packets: bool) {
    let folder = Folder::new(&[]);
    folder.add("set", &format!("{set}{METRIC}"), OBJECT);
    let told = folder.check(&["set.yaml"]).stdout;
    assert!(told.contains(&format!("at most {series} series; ")), "{told}");
    assert_eq!(told.contains("CAP_NET_ADMIN"), has_packets, "{told}");
}

#[test]
fn what_is_set_counts() {
    check("", "64", false);
    check("maps: {m: {max_entries: 2000}}\n", "2,000", false);
    check("programs: {packets: {enabled: true}}\n", "64", true);
    check("programs: {packets: {enabled: false}}\n", "64", false);
    check("maps: {m: {max_entries: 100001}}\nprograms: {packets: {enabled: true}}\n", "100,001", true);
}
