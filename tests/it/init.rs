//! `bpftally init`: configs written from objects as other people write them, and what they serve.
//!
//! Whole configs are held by `corpus.rs`.

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
    let files = std::fs::read_dir(Path::new(ROOT).join("bpf-objects")).unwrap();
    let mut count = 0;
    for file in files.map(|entry| entry.unwrap().path()) {
        let Some(name) = file.file_name().unwrap().to_str().unwrap().strip_suffix(".bpf.o") else { continue };
        let text = written(&folder, name, &file);
        assert!(text.contains("\n    - name: "), "{name} has metrics: {text}");
        count += 1;
    }
    assert!(count >= 6, "{count} objects");
}

/// What the object of a workload serves after 40 calls: unedited from a file, and without one.
#[track_caller]
fn serves(calls: Workload, object: &Path, expected: &[(&str, f64)], absent: &[&str]) {
    let (edited, auto) = (Folder::new(), Folder::new());
    written(&edited, "mine", object);
    auto.file("mine.bpf.o", std::fs::read(object).unwrap());
    for arguments in [vec![edited.argument()], vec![auto.argument(), "--config.auto".to_owned()]] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let exporter = Exporter::start(&arguments);
        calls.fire(40);
        let page = exporter.page();
        for (series, value) in expected {
            let found = value_of(&page, &format!("ebpf_exporter_{series}"));
            assert_eq!(found, Some(*value), "{series}: {page}");
        }
        for metric in absent {
            assert!(!page.contains(&format!("ebpf_exporter_{metric}")), "{metric}: {page}");
        }
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

/// A histogram in a struct, and packets and bytes of one value per CPU, both under plain u32 keys.
#[test]
fn structs_serve_the_right_values() {
    let calls = Workload::new();
    let source =
        "struct hist { u64 count; u64 total_us; u32 slots[8]; };\nstruct value { u64 packets; u64 bytes; };\n"
            .to_owned()
            + &map("latency", "HASH", "u32", "struct hist")
            + &map("traffic", "PERCPU_HASH", "u32", "struct value");
    let body = "u32 key = 7; struct hist none = {}; bpf_map_update_elem(&latency, &key, &none, BPF_NOEXIST); struct hist *h = bpf_map_lookup_elem(&latency, &key); if (h) { __sync_fetch_and_add(&h->count, 1); __sync_fetch_and_add(&h->total_us, 5); __sync_fetch_and_add(&h->slots[2], 1); } struct value zero = {}; bpf_map_update_elem(&traffic, &key, &zero, BPF_NOEXIST); struct value *v = bpf_map_lookup_elem(&traffic, &key); if (v) { v->packets += 1; v->bytes += 100; }";
    let expected = [
        ("latency_bucket{key=\"7\",le=\"3\"}", 0.0),
        ("latency_bucket{key=\"7\",le=\"7\"}", 40.0),
        ("latency_bucket{key=\"7\",le=\"+Inf\"}", 40.0),
        ("latency_count{key=\"7\"}", 40.0),
        ("latency_sum{key=\"7\"}", 200.0),
        ("traffic_packets_total{key=\"7\"}", 40.0),
        ("traffic_bytes_total{key=\"7\"}", 4000.0),
    ];
    serves(calls, &calls.object(&source, body), &expected, &[]);
}

/// Slots per CPU without a struct, slots in an array map, and the largest of what the CPUs saw.
#[test]
fn slots_and_extremes_serve_the_right_values() {
    let calls = Workload::new();
    let source = "struct seen { u64 calls; u64 max_size; };\n".to_owned()
        + &map("sizes_hist", "PERCPU_HASH", "u32", "u64[12]")
        + &map("hist_lengths", "ARRAY", "u32", "u64")
        + &map("seen", "PERCPU_ARRAY", "u32", "struct seen").replace("max_entries, 64", "max_entries, 1");
    let body = "u32 key = 3, zero = 0, slot = 4; u64 none[12] = {}; bpf_map_update_elem(&sizes_hist, &key, none, BPF_NOEXIST); u64 *s = bpf_map_lookup_elem(&sizes_hist, &key); if (s) s[1] += 1; u64 *l = bpf_map_lookup_elem(&hist_lengths, &slot); if (l) __sync_fetch_and_add(l, 1); struct seen *m = bpf_map_lookup_elem(&seen, &zero); if (m) { m->calls += 1; if (m->max_size < 900) m->max_size = 900; }";
    let expected = [
        ("sizes_hist_bucket{key=\"3\",le=\"1\"}", 0.0),
        ("sizes_hist_bucket{key=\"3\",le=\"3\"}", 40.0),
        ("sizes_hist_count{key=\"3\"}", 40.0),
        ("hist_lengths_bucket{le=\"8\"}", 0.0),
        ("hist_lengths_bucket{le=\"16\"}", 40.0),
        ("hist_lengths_count", 40.0),
        ("seen_calls_total", 40.0),
        ("seen_max_size", 900.0),
    ];
    serves(calls, &calls.object(&source, body), &expected, &[]);
}

/// Histograms and counts in variables, as tools of libbpf have them.
#[test]
fn variables_serve_the_right_values() {
    let calls = Workload::new();
    let source = "struct hist { u32 slots[20]; }; struct { u64 packets, bytes; } rx_stats;\n\
                  u64 counts[3], time[3], scratch; struct hist hists[3]; struct hist size_hist;\n";
    let body = "counts[1] += 1; time[1] += 7; hists[2].slots[3] += 1; size_hist.slots[0] += 1; rx_stats.packets += 1; \
                rx_stats.bytes += 100; scratch += 1;";
    let expected = [
        ("counts_total{index=\"0\"}", 0.0),
        ("counts_total{index=\"1\"}", 40.0),
        ("hists_bucket{index=\"2\",le=\"7\"}", 0.0),
        ("hists_bucket{index=\"2\",le=\"15\"}", 40.0),
        ("hists_count{index=\"1\"}", 0.0),
        ("size_hist_bucket{le=\"1\"}", 40.0),
        ("rx_stats_packets_total", 40.0),
        ("rx_stats_bytes_total", 4000.0),
    ];
    serves(calls, &calls.object(source, body), &expected, &["time_total", "scratch"]);
}

/// Addresses of both families in one union, each as what it is; members of a union in a value.
#[test]
fn unions_serve_the_right_values() {
    let calls = Workload::new();
    let source = "struct key { union { u32 saddr_v4; u8 saddr_v6[16]; }; u16 family; __be16 dport; };\nstruct value { union { u64 both; u32 low; }; u64 bytes; };\n".to_owned()
        + &map("peers", "HASH", "struct key", "struct value");
    let count = "bpf_map_update_elem(&peers, &key, &none, BPF_NOEXIST); v = bpf_map_lookup_elem(&peers, &key); if (v) { __sync_fetch_and_add(&v->both, 1ULL << 32); __sync_fetch_and_add(&v->bytes, 10); }";
    let body = format!(
        "struct key key = {{}}; struct value none = {{}}, *v; key.family = 2; key.dport = bpf_htons(443); key.saddr_v4 = bpf_htonl(0xc0000201); {count} key.family = 10; key.saddr_v4 = 0; key.saddr_v6[0] = 0x20; key.saddr_v6[1] = 1; key.saddr_v6[15] = 1; {count}"
    );
    let v4 = "{dport=\"443\",family=\"ipv4\",saddr_v6=\"192.0.2.1\"}";
    let v6 = "{dport=\"443\",family=\"ipv6\",saddr_v6=\"2001::1\"}";
    let four_billions = 40.0 * 4_294_967_296.0;
    let names = ["both", "bytes"].map(|name| [v4, v6].map(|labels| format!("peers_{name}_total{labels}")));
    let expected = [
        (names[0][0].as_str(), four_billions),
        (names[0][1].as_str(), four_billions),
        (names[1][0].as_str(), 400.0),
        (names[1][1].as_str(), 400.0),
    ];
    let source = format!("#include <bpf/bpf_endian.h>\n{source}");
    serves(calls, &calls.object(&source, &body), &expected, &["peers_low"]);
}

/// A latency tool: its start map is nobody's metric, and its histogram is right.
#[test]
fn what_only_the_programs_use_is_not_served() {
    let calls = Workload::new();
    let source = "struct hist { u32 slots[27]; };\n".to_owned()
        + &map("start", "HASH", "u32", "u64")
        + &map("hists", "HASH", "u32", "struct hist")
        + &map("calls_by_pid", "HASH", "u32", "u64");
    let body = "u32 pid = bpf_get_current_pid_tgid() ? 5 : 5; u64 now = bpf_ktime_get_ns(), one = 1; bpf_map_update_elem(&start, &pid, &now, 0); struct hist none = {}; bpf_map_update_elem(&hists, &pid, &none, BPF_NOEXIST); struct hist *h = bpf_map_lookup_elem(&hists, &pid); if (h) __sync_fetch_and_add(&h->slots[3], 1); u64 *c = bpf_map_lookup_elem(&calls_by_pid, &pid); if (c) __sync_fetch_and_add(c, 1); else bpf_map_update_elem(&calls_by_pid, &pid, &one, 0);";
    let expected = [
        ("hists_bucket{key=\"5\",le=\"7\"}", 0.0),
        ("hists_bucket{key=\"5\",le=\"15\"}", 40.0),
        ("calls_by_pid_total{pid=\"5\"}", 40.0),
    ];
    serves(calls, &calls.object(&source, body), &expected, &["start"]);
}

#[test]
fn what_is_no_object_is_told_by_the_exit_code() {
    let folder = Folder::new();
    let wrong = folder.file("x.bpf.o", "no object");
    assert_eq!(run(&["init", wrong.to_str().unwrap()]).0, Some(1));
    assert_eq!(run(&["init", "/nowhere/x.bpf.o"]).0, Some(2));
}
