//! What a config sets of its object counts for what is said of both.

use super::*;

const OBJECT: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } m SEC(".maps");
SEC("raw_tp/sched_switch") int probe(void *ctx) { return 0; }
SEC("?xdp") int packets(void *ctx) { return 2; }
"#;
const METRIC: &str = "metrics: {gauges: [{name: m, map: m, help: h, labels: [k]}]}\n";

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

/// A kernel of these programs' own making: `newest` attaches to a function that it lacks.
const CHOICE: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } m SEC(".maps");
SEC("raw_tp/sched_switch") int oldest(void *ctx) { return 0; }
SEC("tp_btf/sched_switch") int older(void *ctx) { return 0; }
SEC("fentry/no_such_function") int newest(void *ctx) { return 0; }
SEC("?fentry/no_other_function") int extra(void *ctx) { return 0; }
"#;

/// What is told of [`CHOICE`] for a kernel that has `sched_switch` and none of the functions.
#[track_caller]
fn check_choice(set: &str, problems: &[&str], floor: &str) -> String {
    let folder = Folder::new(&[]);
    folder.add("set", &format!("{set}{METRIC}"), CHOICE);
    let kernel =
        objects::compile("typedef void (*btf_trace_sched_switch)(void *); btf_trace_sched_switch known;\n");
    let kernel = format!("--btf={}", kernel.display());
    let json = folder.check(&["--format=json", &kernel, "set.yaml"]);
    assert_eq!(brief(&json.stdout), problems, "{set}: {}", json.stdout);
    assert_eq!(json.code, i32::from(problems.iter().any(|problem| problem.starts_with('!'))));
    let told = folder.check(&[&kernel, "set.yaml"]).stdout;
    assert!(told.contains(&format!("at most 64 series; Linux {floor}; ")), "{set}: {told}");
    told
}

#[test]
fn of_alternatives_one_is_enough() {
    check_choice("", &["!missing-target -"], "5.5");
    let told = check_choice("choose: [[newest, older, oldest]]\n", &[".missing-target -"], "4.17");
    assert!(told.contains("help: nothing: `older` is loaded in its place"), "{told}");
    assert!(told.contains("Linux 5.5: `newest` (section fentry; one of several)"), "{told}");
    assert!(told.contains("Linux 4.17: `oldest` (section raw_tp; one of several)"), "{told}");
    // What no alternative can do is missing, and what a `?` switches off is an alternative, too.
    check_choice("choose: [[newest, extra]]\n", &["!missing-target -", "!missing-target -"], "5.5");
    check_choice("choose: [[extra, older]]\n", &["!missing-target -", ".missing-target -"], "5.5");
    // One that is switched off is none.
    let off =
        "programs: {older: {enabled: false}, oldest: {enabled: false}}\nchoose: [[newest, older, oldest]]\n";
    check_choice(off, &["!missing-target -"], "5.5");
}

#[test]
fn what_is_optional_may_be_missing() {
    let told = check_choice(
        "programs: {newest: {optional: true}, older: {enabled: false}}\n",
        &[".missing-target -"],
        "4.17",
    );
    assert!(told.contains("help: nothing: the program is optional"), "{told}");
    assert!(told.contains("Linux 5.5: `newest` (section fentry; optional)"), "{told}");
    // Alternatives end with one that may be missing.
    let last = "programs: {extra: {optional: true}}\nchoose: [[newest, extra]]\n";
    check_choice(last, &[".missing-target -", ".missing-target -"], "5.5");
}
