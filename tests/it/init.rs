//! `bpftally init`: configs written from objects as other people write them, and what they serve.
//!
//! Whole configs are held by `corpus.rs`.

use std::path::Path;

use crate::common::exporter::{Exporter, run, value_of};
use crate::common::folder::Folder;
use crate::exporter::Workload;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A map of a kind, with the types of its keys and values.
fn map(name: &str, kind: &str, key: &str, value: &str) -> String {
    format!(
        "struct {{ __uint(type, BPF_MAP_TYPE_{kind}); __uint(max_entries, 64); __type(key, {key}); __type(value, {value}); }} {name} SEC(\".maps\");\n"
    )
}

/// What is written for an object, which passes the checks unedited.
#[track_caller]
fn written(folder: &Folder, name: &str, object: &Path) -> String {
    let file = format!("{name}.bpf.o");
    folder.file(&file, std::fs::read(object).unwrap());
    let (code, text) = run(&["init", folder.path().join(&file).to_str().unwrap()]);
    assert_eq!(code, Some(0), "{text}");
    let yaml = folder.file(&format!("{name}.yaml"), &text);
    let (code, said) = run(&["check", yaml.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{name}: {said}\n{text}");
    text
}

#[test]
fn shipped_objects_pass_the_checks() {
    let folder = Folder::new();
    for name in ["biolatency", "processes", "runqlat", "runqlen", "softirqs", "syscalls"] {
        written(&folder, name, &Path::new(ROOT).join(format!("bpf-objects/{name}.bpf.o")));
    }
}

/// A histogram in a struct, and packets and bytes of one value: unedited, and without a file.
#[test]
fn what_is_written_serves_the_right_values() {
    let calls = Workload::new();
    let source =
        "struct hist { u64 count; u64 total_us; u32 slots[8]; };\nstruct value { u64 packets; u64 bytes; };\n"
            .to_owned()
            + &map("latency", "HASH", "u32", "struct hist")
            + &map("traffic", "PERCPU_HASH", "u32", "struct value");
    let body = "u32 key = 7; struct hist none = {}; bpf_map_update_elem(&latency, &key, &none, BPF_NOEXIST); struct hist *h = bpf_map_lookup_elem(&latency, &key); if (h) { __sync_fetch_and_add(&h->count, 1); __sync_fetch_and_add(&h->total_us, 5); __sync_fetch_and_add(&h->slots[2], 1); } struct value zero = {}; bpf_map_update_elem(&traffic, &key, &zero, BPF_NOEXIST); struct value *v = bpf_map_lookup_elem(&traffic, &key); if (v) { v->packets += 1; v->bytes += 100; }";
    let object = calls.object(&source, body);
    let (edited, auto) = (Folder::new(), Folder::new());
    written(&edited, "mine", &object);
    auto.file("mine.bpf.o", std::fs::read(&object).unwrap());
    for arguments in [vec![edited.argument()], vec![auto.argument(), "--config.auto".to_owned()]] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let exporter = Exporter::start(&arguments);
        calls.fire(40);
        let page = exporter.page();
        for (series, value) in [
            ("latency_bucket{key=\"7\",le=\"3\"}", 0.0),
            ("latency_bucket{key=\"7\",le=\"7\"}", 40.0),
            ("latency_count{key=\"7\"}", 40.0),
            ("latency_sum{key=\"7\"}", 200.0),
            ("traffic_packets_total{key=\"7\"}", 40.0),
            ("traffic_bytes_total{key=\"7\"}", 4000.0),
        ] {
            assert_eq!(value_of(&page, &format!("ebpf_exporter_{series}")), Some(value), "{series}: {page}");
        }
    }
}

#[test]
fn what_is_no_object_is_told_by_the_exit_code() {
    let folder = Folder::new();
    let wrong = folder.file("x.bpf.o", "no object");
    assert_eq!(run(&["init", wrong.to_str().unwrap()]).0, Some(1));
    assert_eq!(run(&["init", "/nowhere/x.bpf.o"]).0, Some(2));
}
