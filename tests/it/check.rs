//! `bpftally check`: what it tells, how, and with which exit code.
//!
//! Whole reports are kept in `tests/it/golden`; `UPDATE_GOLDEN=1 cargo test --test it check::` writes
//! them anew, for a look at the difference.

// Helpers of tests may panic as tests do.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::common::{folder, golden, objects};

/// Each with one mistake: its code, its place, and nothing else.
mod corpus;

/// What is worth saying of names, sizes, licences and the kernel.
mod advice;

/// Capabilities.
mod rights;

/// What a config sets of its object.
mod settings;

/// Maps of several kinds, and one program that uses one.
const SOURCE: &str = r#"
#define MAP(NAME, TYPE, KEY, VALUE, ENTRIES) struct { __uint(type, BPF_MAP_TYPE_##TYPE); \
    __uint(max_entries, ENTRIES); __type(key, KEY); __type(value, VALUE); } NAME SEC(".maps");
struct key { u32 device; u8 operation; char comm[16]; };
struct pair { u64 packets, bytes; };
struct blob { char bytes[24]; };
struct hist { u32 slots[8]; u64 sum; double mean; };
enum mode { FAST, SLOW };
MAP(requests_total, HASH, struct key, u64, 1024)
MAP(latency_seconds, HASH, u32, u64, 64)
MAP(queue_tasks, PERCPU_ARRAY, u32, u64, 1)
MAP(by_address_total, HASH, u64, u64, 64)
MAP(traffic, HASH, u32, struct pair, 64)
MAP(blobs, HASH, u32, struct blob, 64)
MAP(hists, HASH, u32, struct hist, 64)
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } ring SEC(".maps");
const volatile u64 kaddr_jiffies = 0;
const volatile u32 kaddr_narrow = 0;
const volatile u8 limit = 1;
const volatile char label[4] = "abc";
const volatile enum mode mode = FAST;
const volatile u32 levels[2];

SEC("raw_tp/sched_switch") int probe(void *ctx)
{
    u32 key = 0;
    u64 *value = bpf_map_lookup_elem(&queue_tasks, &key);
    if (value)
        *value += kaddr_jiffies + kaddr_narrow + limit + label[0] + mode + levels[1];
    return 0;
}
SEC("raw_tp/sched_wakeup") int other(void *ctx) { return 0; }
"#;

/// A folder of configs beside their objects.
struct Folder(folder::Folder);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(folder::Folder::new());
        for (name, text) in files {
            folder.add(name, text, SOURCE);
        }
        folder
    }

    /// A config, and an object of its name from C.
    fn add(&self, name: &str, text: &str, source: &str) {
        self.0.compiled_pair(name, text, source);
    }

    /// Runs `bpftally check` in the folder.
    #[track_caller]
    fn check(&self, arguments: &[&str]) -> Outcome {
        run(self.0.path(), arguments)
    }

    /// What is wrong, as `code line:column`, errors first marked by `!`, warnings by `?`, notes by `.`.
    #[track_caller]
    fn brief(&self, arguments: &[&str]) -> Vec<String> {
        let outcome = self.check(&[&["--format=json"], arguments].concat());
        brief(&outcome.stdout)
    }
}

struct Outcome {
    code: i32,
    stdout: String,
    stderr: String,
}

#[track_caller]
fn run(folder: &Path, arguments: &[&str]) -> Outcome {
    let output = Command::new(env!("CARGO_BIN_EXE_bpftally"))
        .current_dir(folder)
        .arg("check")
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Outcome { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[track_caller]
fn brief(json: &str) -> Vec<String> {
    let found: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
    let mark = |problem: &Value| match problem["severity"].as_str().unwrap() {
        "error" => '!',
        "warning" => '?',
        "note" => '.',
        other => panic!("{other}"),
    };
    let one = |problem: &Value| {
        let place = match (&problem["line"], &problem["column"]) {
            (Value::Number(line), Value::Number(column)) => format!("{line}:{column}"),
            _ => "-".to_owned(),
        };
        format!("{}{} {place}", mark(problem), problem["code"].as_str().unwrap())
    };
    found.as_array().unwrap().iter().map(one).collect()
}

const GOOD: &str = "metrics:
  counters:
    - {name: by_address_total, help: h, labels: [{name: id, size: 8, decoders: [{name: uint}]}]}
";

#[test]
fn what_is_right_is_told_in_two_lines() {
    let folder = Folder::new(&[("good", GOOD)]);
    let outcome = folder.check(&["good.yaml"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{}", outcome.stdout);
    assert!(outcome.stdout.starts_with("good: 1 metric, at most 64 series; Linux "), "{}", outcome.stdout);
    assert!(outcome.stdout.ends_with("1 config checked: nothing is wrong\n"), "{}", outcome.stdout);
    assert_eq!(folder.check(&["--format=json", "."]).stdout, "[]\n");
    assert_eq!(folder.check(&["--format=github", "."]).stdout, "");
}

#[test]
fn spans_are_counted_beside_metrics() {
    let labels = "[{name: trace_id, size: 16, decoders: [hex]}, {name: span_id, size: 8, decoders: [hex]}]";
    let spans = format!(
        "tracing: {{spans: [{{ringbuf: ring, labels: {labels}}}, {{name: other, ringbuf: ring, labels: {labels}}}]}}\n"
    );
    let folder = Folder::new(&[("good", &format!("{GOOD}{spans}"))]);
    let told = folder.check(&["good.yaml"]).stdout;
    assert!(told.contains("good: 1 metric, at most 64 series, 2 kinds of spans; Linux "), "{told}");
}

const WRONG: &str = "# wrong in many ways
metrics:
  counters:
    - name:\trequest_total\t# tabs may stand between words
      help: no such map
      labels:
        - {name: device, size: 4, decoders: [{name: majorminor}]}
    - name: requests_total
      help: 値段 and labels that do not cover the key
      labels:
        - {name: device, size: 4, decoders: [{name: majorminor}]}
        - {name: operation, size: 1, decoders: [{name: unit}]}
    - {name: 数, map: traffic, help: not a name}
  gauges:
    - {name: queue_tasks_total, map: queue_tasks, lables: [], help: a name that is a counter's}
";

#[test]
fn people_see_the_line_and_a_caret() {
    let folder = Folder::new(&[("wrong", WRONG)]);
    let outcome = folder.check(&["wrong.yaml"]);
    assert_eq!(outcome.code, 1);
    golden::check("wrong.txt", &outcome.stdout);
}

#[test]
fn every_problem_says_where_and_what_to_do() {
    let folder = Folder::new(&[("wrong", WRONG)]);
    let outcome = folder.check(&["--format=json", "wrong.yaml"]);
    let found: Value = serde_json::from_str(&outcome.stdout).unwrap();
    for problem in found.as_array().unwrap() {
        for key in ["severity", "code", "message", "config", "file", "line", "column", "path", "metric"] {
            assert!(!problem[key].is_null(), "no {key}: {problem:#}");
        }
        assert!(!problem["help"].is_null() || !problem["expected"].is_null(), "{problem:#}");
    }
}

#[test]
fn github_gets_a_line_for_each() {
    let folder = Folder::new(&[("wrong", WRONG)]);
    let outcome = folder.check(&["--format=github", "wrong.yaml"]);
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines.len(), folder.brief(&["wrong.yaml"]).len());
    assert!(
        lines[0]
            .starts_with("::error file=wrong.yaml,line=4,col=13,title=missing-map::the object has no map")
    );
    assert!(lines.iter().any(|line| line.starts_with("::warning file=wrong.yaml,")));
}

#[test]
fn exit_codes_tell_what_to_do() {
    let folder = Folder::new(&[("good", GOOD), ("wrong", WRONG)]);
    folder.add("warned", "metrics:\n  gauges:\n    - {name: queue_tasks, help: h, colour: red}\n", SOURCE);
    #[track_caller]
    fn check(folder: &Folder, arguments: &[&str], code: i32) {
        let outcome = folder.check(arguments);
        assert_eq!(outcome.code, code, "{arguments:?}\n{}{}", outcome.stdout, outcome.stderr);
        assert_eq!(code == 2, outcome.stdout.is_empty() && !outcome.stderr.is_empty(), "{}", outcome.stderr);
    }
    check(&folder, &["good.yaml"], 0);
    check(&folder, &["warned.yaml"], 0);
    check(&folder, &["warned.yaml", "--strict"], 1);
    check(&folder, &["good.yaml", "--strict"], 0);
    check(&folder, &["wrong.yaml"], 1);
    check(&folder, &["."], 1);
    check(&folder, &[], 2);
    check(&folder, &["gone.yaml"], 2);
    check(&folder, &["good.bpf.o"], 2);
    check(&folder, &["good.yaml", "--format=xml"], 2);
    check(&folder, &["good.yaml", "--btf=gone"], 2);
    check(&folder, &["good.yaml", "--btf=good.yaml"], 2);
}

#[test]
fn configs_of_a_folder_may_contradict_each_other() {
    let other = GOOD.replace("help: h", "help: other");
    let folder = Folder::new(&[("a", GOOD), ("b", &other)]);
    let outcome = folder.check(&["."]);
    assert_eq!(outcome.code, 1);
    assert!(outcome.stdout.contains("./b.yaml:3:14: error[metric-conflict]"), "{}", outcome.stdout);
    assert_eq!(folder.brief(&["a.yaml", "b.yaml"]), ["!metric-conflict 3:14"]);
    assert_eq!(folder.brief(&["b.yaml"]), [""; 0]);
    // Folders are served by exporters of their own.
    let apart = Folder::new(&[("b", &other)]);
    let path = apart.0.path().display().to_string();
    assert_eq!(folder.brief(&["a.yaml", &path]), [""; 0]);
}

#[test]
fn objects_may_be_elsewhere() {
    let folder = Folder::new(&[("good", GOOD)]);
    let objects = tempfile::tempdir().unwrap();
    std::fs::rename(folder.0.path().join("good.bpf.o"), objects.path().join("good.bpf.o")).unwrap();
    assert_eq!(folder.brief(&["."]), ["!missing-object -"]);
    assert_eq!(folder.brief(&[".", "--object.dir", &objects.path().display().to_string()]), [""; 0]);
}

/// It is said which object is looked at, and what another machine's would be.
#[test]
fn objects_may_be_for_one_architecture() {
    let folder = Folder::new(&[("good", GOOD)]);
    let place = |name: &str| folder.0.path().join(name);
    let own = format!("good.{}.bpf.o", std::env::consts::ARCH);
    assert!(!folder.check(&["."]).stdout.contains("by good"));
    std::fs::copy(place("good.bpf.o"), place(&own)).unwrap();
    std::fs::write(place("good.bpf.o"), "never read").unwrap();
    let outcome = folder.check(&["."]);
    assert_eq!(outcome.code, 0, "{}", outcome.stdout);
    assert!(outcome.stdout.contains(&format!("; by {own}\n")), "{}", outcome.stdout);
    std::fs::remove_file(place("good.bpf.o")).unwrap();
    std::fs::rename(place(&own), place("good.riscv64.bpf.o")).unwrap();
    let outcome = folder.check(&["."]);
    assert!(outcome.stdout.contains("good.riscv64.bpf.o is there, but for riscv64"), "{}", outcome.stdout);
}

#[test]
fn the_namespace_counts() {
    let folder = Folder::new(&[("good", GOOD)]);
    let text = "metrics: {counters: [{name: kept_total, map: queue_tasks, help: h}]}\n";
    folder.add("other", text, SOURCE);
    assert_eq!(folder.brief(&["."]), [""; 0]);
    let reserved = "metrics: {gauges: [{name: enabled_configs, map: queue_tasks, help: h}]}\n";
    folder.add("reserved", reserved, SOURCE);
    assert_eq!(folder.brief(&["."]), ["!reserved-metric 1:27"]);
    assert_eq!(folder.brief(&[".", "--metrics.namespace=mine"]), [""; 0]);
}

#[test]
fn folders_without_configs_are_a_mistake() {
    let folder = Folder::new(&[]);
    let outcome = folder.check(&["."]);
    assert_eq!(outcome.code, 1);
    assert!(outcome.stdout.contains("error[no-configs]"), "{}", outcome.stdout);
}

#[test]
fn what_is_shipped_is_clean() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let outcome = run(root, &["configs", "--object.dir=bpf-objects", "--format=json"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stdout);
    let notes = brief(&outcome.stdout);
    // Alternatives for other kernels and machines have no place to attach to here.
    let is_known = |found: &String| {
        found.starts_with(".merged-keys ")
            || matches!(found.as_str(), ".missing-target -" | ".kernel-option -")
    };
    assert!(notes.iter().all(is_known), "{notes:?}");
    assert_eq!(run(root, &["configs", "--object.dir=bpf-objects", "--strict"]).code, 0);
}

#[test]
fn a_comment_allows_what_is_meant() {
    let folder = Folder::new(&[]);
    let text =
        |comment: &str| format!("metrics:\n  counters:\n    - name: queue_tasks{comment}\n      help: h\n");
    for (comment, expected) in [
        ("", &["?counter-name 3:13"][..]),
        (" # check: allow counter-name", &[]),
        (" # check: allow unit-name, counter-name (dashboards know it)", &[]),
        (" # check: allow unit-name (not counter-name)", &["?counter-name 3:13"]),
    ] {
        folder.add("a", &text(comment), SOURCE);
        assert_eq!(folder.brief(&["."]), expected, "{comment}");
    }
}

#[test]
fn the_verifier_has_the_last_word() {
    let folder = Folder::new(&[("good", GOOD)]);
    let links =
        || crate::common::kernel::run("sh", &["-c", "bpftool link 2>/dev/null | grep -c probe || true"]);
    let before = links();
    let outcome = folder.check(&["good.yaml", "--load"]);
    assert_eq!((outcome.code, links()), (0, before), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("note[verified]: the verifier went through "), "{}", outcome.stdout);
    let source = r#"
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1); __type(key, u32); __type(value, u64); }
    queue_tasks SEC(".maps");
SEC("raw_tp/sched_switch") int probe(void *ctx)
{
    u32 key = 0;
    u64 *value = bpf_map_lookup_elem(&queue_tasks, &key);
    *value += 1;
    return 0;
}
"#;
    folder.add("bad", "metrics: {gauges: [{name: queue_tasks, help: h}]}\n", source);
    let outcome = folder.check(&["bad.yaml"]);
    assert_eq!(outcome.code, 0, "nothing but the verifier can know: {}", outcome.stdout);
    let outcome = folder.check(&["bad.yaml", "--load"]);
    assert_eq!(outcome.code, 1);
    assert!(outcome.stdout.contains("bad.bpf.o: error[verifier]: "), "{}", outcome.stdout);
}

#[test]
fn loading_leaves_no_pin_behind() {
    let folder = Folder::new(&[]);
    let source = SOURCE.replace(
        "char bytes[24]; };",
        "char bytes[24]; };\nstruct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); \
         __type(value, u64); __uint(pinning, LIBBPF_PIN_BY_NAME); } pinned_by_check SEC(\".maps\");",
    );
    folder.add("pinned", GOOD, &source);
    let outcome = folder.check(&["pinned.yaml", "--load"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stdout);
    assert!(!Path::new("/sys/fs/bpf/pinned_by_check").exists());
}
