use std::path::PathBuf;

use super::{Workload, good_yaml};
use crate::common::exporter::Exporter;
use crate::common::folder::Folder;
use crate::common::objects::{compile, compile_with};

/// One way to be wrong.
struct Bad {
    name: &'static str,
    yaml: String,
    object: Object,
    /// The problem's code, as the log and the landing page show it.
    code: &'static str,
    /// Words that its message must hold.
    words: &'static str,
}

enum Object {
    None,
    Bytes(Vec<u8>),
    File(PathBuf),
}

fn yaml(text: &str) -> String {
    text.to_owned()
}

/// A counter over the map `m` of [`plain`], with these lines instead of its labels.
fn counter(labels: &str) -> String {
    format!("metrics:\n  counters:\n    - name: m\n      help: h\n      labels: {labels}\n")
}

fn histogram(fields: &str) -> String {
    format!(
        "metrics:\n  histograms:\n    - name: m\n      help: h\n{fields}      labels: [{{name: bucket, size: 4, decoders: [{{name: uint}}]}}]\n"
    )
}

const LABEL: &str = "[{name: k, size: 4, decoders: [{name: uint}]}]";

/// A map `m` of u32 to u64 and a program that loads everywhere.
fn plain() -> Object {
    Object::File(object_with("HASH", "u32", "u64", "raw_tp/sys_enter", "return 0;"))
}

fn object_with(kind: &str, key: &str, value: &str, section: &str, body: &str) -> PathBuf {
    compile(&format!(
        "struct blob {{ u32 a, b, c; }};
         struct {{ __uint(type, BPF_MAP_TYPE_{kind}); __uint(max_entries, 64); __type(key, {key}); __type(value, {value}); }} m SEC(\".maps\");
         SEC(\"{section}\") int program(void *ctx) {{ {body} }}"
    ))
}

fn bad(name: &'static str, yaml: String, object: Object, code: &'static str, words: &'static str) -> Bad {
    Bad { name, yaml, object, code, words }
}

/// YAML and its meaning.
#[allow(clippy::too_many_lines, reason = "a table")]
fn bad_texts() -> Vec<Bad> {
    let with = |labels: &str| counter(labels);
    vec![
        bad("t01_unclosed", yaml("metrics: ["), plain(), "yaml", ""),
        bad("t02_tab", yaml("metrics:\n\tcounters: []\n"), plain(), "yaml", ""),
        bad("t03_empty", yaml(""), plain(), "", ""),
        bad("t04_no_metrics", yaml("x-note: nothing\n"), plain(), "", "metrics"),
        bad("t05_mapping_for_list", yaml("metrics:\n  counters: {name: m}\n"), plain(), "", "list"),
        bad(
            "t06_word_for_number",
            with("[{name: k, size: four, decoders: [{name: uint}]}]"),
            plain(),
            "",
            "four",
        ),
        bad("t07_no_name", yaml("metrics:\n  counters:\n    - help: h\n"), plain(), "", "name"),
        bad("t08_no_help", yaml("metrics:\n  counters:\n    - name: m\n"), plain(), "", "help"),
        bad("t09_metric_name", counter(LABEL).replace("name: m", "name: foo-bar"), plain(), "", "foo-bar"),
        bad("t10_label_name", with("[{name: k-k, size: 4, decoders: [{name: uint}]}]"), plain(), "", "k-k"),
        bad(
            "t11_reserved_label",
            with("[{name: __k, size: 4, decoders: [{name: uint}]}]"),
            plain(),
            "",
            "__k",
        ),
        bad(
            "t12_decoder",
            with("[{name: k, size: 4, decoders: [{name: unit}]}]"),
            plain(),
            "unknown-decoder",
            "uint",
        ),
        bad(
            "t13_regex",
            with("[{name: k, size: 4, decoders: [{name: string}, {name: regexp, regexps: ['(']}]}]"),
            plain(),
            "",
            "(",
        ),
        bad(
            "t14_bucket_type",
            histogram("      bucket_type: exp3\n      bucket_max: 4\n"),
            plain(),
            "",
            "exp2",
        ),
        bad(
            "t15_bucket_equal",
            histogram("      bucket_type: exp2\n      bucket_min: 4\n      bucket_max: 4\n"),
            plain(),
            "",
            "bucket_max",
        ),
        bad(
            "t16_bucket_turned",
            histogram("      bucket_type: linear\n      bucket_min: 9\n      bucket_max: 4\n"),
            plain(),
            "",
            "bucket_max",
        ),
        bad("t17_fixed_without_keys", histogram("      bucket_type: fixed\n"), plain(), "", "bucket_keys"),
        bad("t18_labels_short", with("[{name: k, size: 2, decoders: [{name: uint}]}]"), plain(), "", "4"),
        bad("t19_labels_long", with("[{name: k, size: 8, decoders: [{name: uint}]}]"), plain(), "", "4"),
        bad(
            "t20_event_array",
            counter(LABEL).replace("help: h", "help: h\n      perf_event_array: true"),
            plain(),
            "map-kind",
            "not an array of performance events",
        ),
        bad("t21_tracing", yaml("tracing:\n  spans:\n    - ringbuf: m\n"), plain(), "map-kind", "tracing"),
        bad(
            "t22_cgroup_map",
            counter(LABEL) + "cgroup_id_map: {name: m, regexps: ['.*']}\n",
            plain(),
            "cgroup-map",
            "cgroup_id_map",
        ),
        bad("t23_binary", yaml("metrics: \u{1}\u{0}\n"), plain(), "", ""),
        bad("t24_aliases", alias_bomb(), plain(), "", ""),
        bad(
            "t26_uint_of_three",
            with("[{name: k, size: 3, padding: 1, decoders: [{name: uint}]}]"),
            plain(),
            "",
            "3",
        ),
        bad(
            "t27_kaddr_without_variable",
            counter(LABEL) + "kaddrs: [jiffies]\n",
            plain(),
            "",
            "kaddr_jiffies",
        ),
        bad(
            "t28_label_twice",
            with(
                "[{name: k, size: 2, decoders: [{name: uint}]}, {name: k, size: 2, decoders: [{name: uint}]}]",
            ),
            plain(),
            "",
            "k",
        ),
        bad(
            "t29_clash",
            good_yaml("good").replace("counters", "gauges"),
            Object::File(Workload::new().good_object("good")),
            "",
            "good",
        ),
        bad(
            "t30_reserved_name",
            counter(LABEL).replace("name: m", "name: build_info\n      map: m"),
            plain(),
            "",
            "build_info",
        ),
    ]
}

/// Objects and what the kernel refuses.
#[allow(clippy::too_many_lines, reason = "a table")]
fn bad_objects() -> Vec<Bad> {
    let whole = std::fs::read(object_with("HASH", "u32", "u64", "raw_tp/sys_enter", "return 0;")).unwrap();
    let program = |section: &str, body: &str| Object::File(object_with("HASH", "u32", "u64", section, body));
    let source = "struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } m SEC(\".maps\");";
    let kind = |kind: &str, key: &str, value: &str| {
        Object::File(object_with(kind, key, value, "raw_tp/sys_enter", "return 0;"))
    };
    let huge = source.replace("max_entries, 64", "max_entries, 0x7fffffff")
        + "SEC(\"raw_tp/sys_enter\") int p(void *ctx) { return 0; }";
    let kaddr = format!(
        "{source} const volatile u64 kaddr_no_such_symbol_at_all = 0; SEC(\"raw_tp/sys_enter\") int p(void *ctx) {{ return kaddr_no_such_symbol_at_all != 0; }}"
    );
    vec![
        bad("o01_missing", counter(LABEL), Object::None, "", "o01_missing.bpf.o"),
        bad("o02_empty", counter(LABEL), Object::Bytes(Vec::new()), "", "empty"),
        bad("o03_text", counter(LABEL), Object::Bytes(b"int main(void) { return 0; }\n".to_vec()), "", "ELF"),
        bad(
            "o04_truncated",
            counter(LABEL),
            Object::Bytes(whole[..whole.len() / 2].to_vec()),
            "",
            "truncated",
        ),
        bad("o05_host_program", counter(LABEL), Object::File("/bin/sh".into()), "", "BPF"),
        bad(
            "o06_without_btf",
            counter(LABEL),
            Object::File(compile_with(
                "SEC(\"raw_tp/sys_enter\") int p(void *ctx) { return 0; }",
                &["-target", "bpf", "-O2"],
            )),
            "",
            "BTF",
        ),
        bad(
            "o07_big_endian",
            counter(LABEL),
            Object::File(compile_with(source, &["-target", "bpfeb", "-g", "-O2"])),
            "",
            "endian",
        ),
        bad("o08_no_map", counter(LABEL).replace("name: m", "name: mm"), plain(), "", "mm"),
        bad(
            "o09_ring_buffer",
            counter(LABEL),
            Object::File(compile(
                "struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } m SEC(\".maps\");",
            )),
            "",
            "ring",
        ),
        bad("o10_value_size", counter(LABEL), kind("HASH", "u32", "struct blob"), "", "12"),
        bad(
            "k01_verifier",
            counter(LABEL),
            program("raw_tp/sys_enter", "return *(volatile int *)(long)bpf_ktime_get_ns();"),
            "",
            "program",
        ),
        bad(
            "k02_no_such_tp_btf",
            counter(LABEL),
            program("tp_btf/no_such_tracepoint", "return 0;"),
            "",
            "no_such_tracepoint",
        ),
        bad(
            "k03_fentry_target",
            counter(LABEL),
            program("fentry/no_such_function", "return 0;"),
            "",
            "no_such_function",
        ),
        bad("k04_huge_map", counter(LABEL), Object::File(compile(&huge)), "", "m"),
        bad(
            "k05_kaddr_symbol",
            counter(LABEL) + "kaddrs: [no_such_symbol_at_all]\n",
            Object::File(compile(&kaddr)),
            "",
            "no_such_symbol_at_all",
        ),
    ]
}

fn alias_bomb() -> String {
    let mut text = String::from("x-a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let before = format!("*a{}", level - 1);
        text += &format!("x-a{level}: &a{level} [{}]\n", [before.as_str(); 9].join(", "));
    }
    text + &counter(LABEL)
}

fn place(folder: &Folder, bad: &Bad) {
    folder.file(&format!("{}.yaml", bad.name), &bad.yaml);
    let object = folder.path().join(format!("{}.bpf.o", bad.name));
    match &bad.object {
        Object::None => {}
        Object::Bytes(bytes) => std::fs::write(object, bytes).unwrap(),
        Object::File(file) => drop(std::fs::copy(file, object).unwrap()),
    }
}

/// A good config serves exact numbers beside every kind of bad one, and each bad one says what is wrong with it.
#[test]
fn a_bad_config_costs_itself_alone() {
    let calls = Workload::new();
    let folder = Folder::new();
    let all: Vec<Bad> = bad_texts().into_iter().chain(bad_objects()).collect();
    all.iter().for_each(|bad| place(&folder, bad));
    std::fs::create_dir(folder.path().join("y01_directory.yaml")).unwrap();
    folder.pair("good", &good_yaml("good"), &calls.good_object("good"));

    let exporter = Exporter::start(&[&folder.argument(), "--log.level=info"]);
    calls.fire(1234);
    let page = exporter.page();
    assert_eq!(
        crate::common::exporter::value_of(&page, "ebpf_exporter_good{slot=\"7\"}"),
        Some(1234.0),
        "{page}"
    );

    let (landing, log) = (exporter.get("/").text(), exporter.log());
    let mut silent = Vec::new();
    for bad in &all {
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(bad.name)).collect();
        let said = lines
            .iter()
            .any(|line| line.contains(bad.code) && line.contains(bad.words) && !line.contains("panicked"));
        let loaded = crate::common::exporter::value_of(
            &page,
            &format!("ebpf_exporter_config_loaded{{config=\"{}\"}}", bad.name),
        );
        if !said || !landing.contains(bad.name) || loaded != Some(0.0) {
            silent.push(format!(
                "{} (loaded {loaded:?}, wanted `{}` and `{}`):\n    {}",
                bad.name,
                bad.code,
                bad.words,
                lines.join("\n    ")
            ));
        }
    }
    assert!(silent.is_empty(), "these say nothing useful:\n{}", silent.join("\n"));
    assert!(!log.contains("panicked"), "{log}");
    let (status, log) = exporter.stop();
    assert_eq!(status.code(), Some(0), "{log}");
}

/// A program that cannot be attached costs itself: its config serves what its other programs count.
#[test]
fn a_program_that_does_not_attach_costs_itself_alone() {
    let folder = Folder::new();
    let object = compile(
        "struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } m SEC(\".maps\");
         SEC(\"kprobe/no_such_function_anywhere\") int broken(void *ctx) { return 0; }
         SEC(\"?kprobe/also_not_there\") int dormant(void *ctx) { return 0; }
         SEC(\"raw_tp/sys_enter\") int working(void *ctx) { u32 key = 0; u64 *value = bpf_map_lookup_elem(&m, &key); if (value) __sync_fetch_and_add(value, 1); return 0; }",
    );
    folder.pair("half", "metrics: {counters: [{name: m, help: h}]}", &object);
    let exporter = Exporter::start(&[&folder.argument()]);
    assert!(exporter.value("ebpf_exporter_m").is_some_and(|value| value > 0.0), "{}", exporter.page());
    let log = exporter.log();
    let line = log.lines().find(|line| line.contains("broken") && line.contains("no_such_function_anywhere"));
    assert!(line.is_some(), "the program is not named with its reason:\n{log}");
    assert!(!log.contains("dormant"), "a program with SEC(\"?...\") is left alone:\n{log}");
    let page = exporter.page();
    let attached = crate::common::exporter::values_of(&page, "ebpf_exporter_ebpf_program_attached");
    let mut numbers: Vec<f64> = attached.iter().map(|(_, value)| *value).collect();
    numbers.sort_by(f64::total_cmp);
    assert_eq!(numbers, [0.0, 1.0], "{page}");
}

/// With nothing but bad configs the exporter runs, says so, and is not ready.
#[test]
fn nothing_but_bad_configs() {
    let folder = Folder::new();
    folder.file("bad.yaml", "metrics: [");
    let exporter = Exporter::launch(&[&folder.argument()]);
    assert_eq!(exporter.get("/-/healthy").status, 200);
    assert_eq!(exporter.get("/-/ready").status, 503);
    assert_eq!(exporter.value("ebpf_exporter_config_loaded{config=\"bad\"}"), Some(0.0));
    assert!(exporter.get("/").text().contains("bad.yaml"));
}
