//! `bpftally init`: configs written from objects as other people write them.
//!
//! The pages stand in `tests/it/golden/init`; `UPDATE_GOLDEN=1` writes them anew.

use std::path::Path;

use crate::common::exporter::{Exporter, run, value_of};
use crate::common::folder::Folder;
use crate::common::objects::compile;
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

#[track_caller]
fn check(name: &str, maps: &str) {
    let text = written(&Folder::new(), name, &compile(maps));
    let path = Path::new(ROOT).join("tests/it/golden/init").join(format!("{name}.yaml"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap_or_default(), "{}", path.display());
}

#[test]
fn configs_are_the_golden_ones() {
    check(
        "slots",
        &("struct hist { u32 slots[27]; u64 total_us; u64 count; };\n".to_owned()
            + &map("latency", "HASH", "u64", "struct hist")),
    );
    check(
        "traffic",
        &("struct key { u32 ifindex; u8 proto; }; struct value { u64 packets; u64 bytes; };\n".to_owned()
            + &map("traffic", "PERCPU_HASH", "struct key", "struct value")),
    );
    check(
        "numbers",
        &(map("calls_by_pid", "HASH", "u32", "u64") + &map("gauge_depth", "ARRAY", "u32", "s32")),
    );
    check(
        "union",
        &("struct key { union { u32 v4; u8 v6_addr[16]; }; u16 family; char comm[16]; };\n".to_owned()
            + &map("peers", "LRU_HASH", "struct key", "u64")),
    );
    check(
        "cgroups",
        &("struct key { u64 cgroup_id; u32 dev; s32 errno; u64 slot; };\nconst volatile u64 min_ns = 1000;\nconst volatile u64 kaddr_jiffies = 0; SEC(\"raw_tp/sys_enter\") int kept(void *ctx) { return min_ns + kaddr_jiffies; }\n".to_owned()
            + &map("io_seconds", "PERCPU_HASH", "struct key", "u64")),
    );
    check(
        "mixed",
        &("enum state { IDLE, BUSY }; struct key { enum state state; u32 flags : 4, retries : 28; u64 stack[4]; };\nstruct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } events SEC(\".maps\");\n".to_owned()
            + &map("states_total", "HASH", "struct key", "u64")
            + &map("names", "HASH", "u32", "char *")
            + &map("hist_sizes", "PERCPU_ARRAY", "u32", "u64")),
    );
}

/// Names that clang takes from no C, as another compiler, or a linker, may write them: each of the first
/// is replaced by the second, which is as long.
const ODD_NAMES: [(&str, &str); 7] = [
    ("map_with_a_line", "map with\na\nline"),
    ("map_with_letter", "m\u{e4}p:with\u{2028}abc"),
    ("dotted_member", "dotted.member"),
    ("indexed_member_0", "indexed_member[0"),
    ("same_member_1", "same_member_2"),
    ("odd_variable", "odd\nvariable"),
    ("odd_type_name", "odd\u{85}\u{feff}_name"),
];

#[test]
fn names_that_are_no_identifiers_pass_the_checks() {
    let source = "typedef u64 odd_type_name; const volatile odd_type_name odd_variable = 3;\n\
         struct key { u32 dotted_member; u32 indexed_member_0; u32 same_member_1; u64 same_member_2; };\n\
         struct value { u64 same_member_1; u64 dotted_member; u32 same_member_2; };\n\
         SEC(\"raw_tp/sys_enter\") int kept(void *ctx) { return odd_variable; }\n"
        .to_owned()
        + &map("map_with_a_line", "HASH", "struct key", "u64")
        + &map("map_with_letter", "HASH", "u32", "struct value");
    let mut object = std::fs::read(compile(&source)).unwrap();
    for (plain, odd) in ODD_NAMES {
        assert_eq!(plain.len(), odd.len(), "{plain}");
        let found: Vec<usize> =
            (0..object.len()).filter(|at| object[*at..].starts_with(plain.as_bytes())).collect();
        assert!(!found.is_empty(), "{plain}");
        found.iter().for_each(|at| object[*at..at + odd.len()].copy_from_slice(odd.as_bytes()));
    }
    let folder = Folder::new();
    let path = folder.file("patched.bpf.o", object);
    let text = written(&folder, "odd", &path);
    assert!(
        text.contains("name: map_with_a_line_total") || text.contains("name: mapwithaline_total"),
        "{text}"
    );
}

/// Two maps of one name, histograms whose slots are no numbers by their types, and a map whose key has no size, which `check` refuses with the object.
#[test]
fn maps_that_no_compiler_writes_pass_the_checks() {
    let source = map("first_map", "HASH", "u32", "u64")
        + &map("other_map", "HASH", "struct { u8 bytes[12]; }", "u64")
        + &map("hist_by_letter", "ARRAY", "char[4]", "u64")
        + "struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 64); __uint(key_size, 4); __type(value, u64); } hist_untyped SEC(\".maps\");\n";
    let mut object = std::fs::read(compile(&source)).unwrap();
    for at in 0..object.len() {
        if object[at..].starts_with(b"other_map") {
            object[at..at + 9].copy_from_slice(b"first_map");
        }
    }
    let folder = Folder::new();
    let path = folder.file("patched.bpf.o", object);
    let text = written(&folder, "strange", &path);
    assert!(text.contains("first_map: another map has this name"), "{text}");
    let empty = compile(&map("empty_map", "HASH", "struct {}", "u64"));
    let (_, text) = run(&["init", empty.to_str().unwrap()]);
    assert!(text.contains("empty_map: its key has no size"), "{text}");
    let wide = map("wide_key", "ARRAY", "u64", "u64").replace("max_entries, 64", "max_entries, 1");
    let (_, text) = run(&["init", compile(&wide).to_str().unwrap()]);
    assert!(text.contains("labels:\n        - index\n"), "{text}");
}

#[test]
fn shipped_objects_pass_the_checks() {
    let folder = Folder::new();
    for name in ["biolatency", "processes", "runqlat", "runqlen", "softirqs", "syscalls"] {
        written(&folder, name, &Path::new(ROOT).join(format!("bpf-objects/{name}.bpf.o")));
    }
}

#[test]
fn addresses_are_no_metrics() {
    let source = "struct value { u64 calls; void *frames[4]; void *slots[16]; };\n".to_owned()
        + &map("stacks", "HASH", "u32", "struct value");
    let text = written(&Folder::new(), "addresses", &compile(&source));
    assert!(text.contains("value: calls"), "{text}");
    assert!(!text.contains("frames") && !text.contains("slots"), "{text}");
}

/// As the linker leaves them of static variables of two files.
#[test]
fn a_name_of_two_variables_means_none_of_them() {
    let source = "static const volatile u64 kaddr_other_1[2]; static const volatile u64 kaddr_jiffies;\n\
         SEC(\"raw_tp/sys_enter\") int kept(void *ctx) { return kaddr_other_1[1] + kaddr_jiffies; }\n"
        .to_owned()
        + &map("calls", "HASH", "u32", "u64");
    let mut object = std::fs::read(compile(&source)).unwrap();
    for at in 0..object.len() {
        if object[at..].starts_with(b"kaddr_other_1") {
            object[at..at + 13].copy_from_slice(b"kaddr_jiffies");
        }
    }
    let folder = Folder::new();
    let path = folder.file("patched.bpf.o", object);
    let text = written(&folder, "twice", &path);
    assert!(!text.contains("kaddr"), "{text}");
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
