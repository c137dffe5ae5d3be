use super::Workload;
use crate::common::exporter::{Exporter, value_of, values_of};
use crate::common::folder::Folder;

/// Increments `value` of key `key` in map `m` of any kind.
const INCREMENT: &str = "u64 one = 1, *value = bpf_map_lookup_elem(&m, &key); if (!value) { bpf_map_update_elem(&m, &key, &one, BPF_NOEXIST); value = bpf_map_lookup_elem(&m, &key); if (value && *value != 1) __sync_fetch_and_add(value, 1); } else __sync_fetch_and_add(value, 1);";

/// N calls from several threads give exactly N, in a map of this kind.
#[track_caller]
fn check_kind(calls: Workload, kind: &str, flags: &str, key_type: &str, key: &str, size: usize) {
    let folder = Folder::new();
    let map = format!(
        "{key_type} struct {{ __uint(type, BPF_MAP_TYPE_{kind}); __uint(max_entries, 128); {flags} __type(key, struct key); __type(value, u64); }} m SEC(\".maps\");"
    );
    let object = calls.object(&map, &format!("{key} {INCREMENT}"));
    folder.pair("kind", &format!("metrics: {{counters: [{{name: m, help: h, labels: [{{name: k, size: {size}, decoders: [{{name: uint}}]}}]}}]}}"), &object);
    let exporter = Exporter::start(&[&folder.argument()]);
    // The key exists before the threads race for it.
    calls.fire(1);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| calls.fire(5000));
        }
    });
    let page = exporter.page();
    assert_eq!(value_of(&page, "ebpf_exporter_m{k=\"3\"}"), Some(20_001.0), "{kind}: {page}");
}

#[test]
fn every_kind_of_map_counts_exactly() {
    let key = "struct key { u32 k; };";
    let set = "struct key key = { 3 };";
    check_kind(Workload::new(), "HASH", "", key, set, 4);
    check_kind(Workload::new(), "HASH", "__uint(map_flags, BPF_F_NO_PREALLOC);", key, set, 4);
    check_kind(Workload::new(), "LRU_HASH", "", key, set, 4);
    check_kind(Workload::new(), "ARRAY", "", key, set, 4);
    check_kind(Workload::new(), "PERCPU_HASH", "", key, set, 4);
    check_kind(Workload::new(), "PERCPU_ARRAY", "", key, set, 4);
    check_kind(Workload::new(), "LRU_PERCPU_HASH", "", key, set, 4);
}

#[test]
fn a_trie_counts_exactly() {
    let calls = Workload::new();
    let folder = Folder::new();
    let map = "struct key { u32 prefix; u32 k; }; struct { __uint(type, BPF_MAP_TYPE_LPM_TRIE); __uint(max_entries, 128); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, struct key); __type(value, u64); } m SEC(\".maps\");";
    let object = calls.object(map, &format!("struct key key = {{ 32, 3 }}; {INCREMENT}"));
    folder.pair(
        "trie",
        "metrics: {counters: [{name: m, help: h, labels: [{name: prefix, size: 4, decoders: [{name: uint}]}, {name: k, size: 4, decoders: [{name: uint}]}]}]}",
        &object,
    );
    let exporter = Exporter::start(&[&folder.argument()]);
    calls.fire(777);
    assert_eq!(exporter.value("ebpf_exporter_m{k=\"3\",prefix=\"32\"}"), Some(777.0), "{}", exporter.page());
}

/// A per-CPU map split by its last label shows each CPU, and their sum is the truth.
#[test]
fn cpus_told_apart_add_up() {
    let calls = Workload::new();
    let folder = Folder::new();
    let map = "struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } m SEC(\".maps\");";
    let object = calls.object(map, &format!("u32 key = 0; {INCREMENT}"));
    folder.pair(
        "split",
        "metrics: {counters: [{name: m, help: h, labels: [{name: cpu, size: 2, decoders: [{name: uint}]}]}]}",
        &object,
    );
    let exporter = Exporter::start(&[&folder.argument()]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| calls.fire(2500));
        }
    });
    let samples = exporter.values("ebpf_exporter_m");
    assert_eq!(samples.len(), std::thread::available_parallelism().unwrap().get(), "{samples:?}");
    assert_eq!(samples.iter().map(|(_, value)| value).sum::<f64>(), 10_000.0, "{samples:?}");
}

/// Values of every width, signed or not, exact to the last digit.
#[test]
fn values_of_every_width() {
    let calls = Workload::new();
    let kinds = [
        ("u8", "200"),
        ("u16", "60000"),
        ("u32", "4000000000U"),
        ("u64", "18446744073709551615ULL"),
        ("s8", "-100"),
        ("s16", "-30000"),
        ("s32", "-2000000000"),
        ("s64", "-9223372036854775807LL"),
    ];
    let folder = Folder::new();
    let (mut maps, mut body, mut gauges) = (String::new(), String::from("u32 key = 0;"), String::new());
    for (kind, value) in kinds {
        maps += &format!(
            "struct {{ __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, {kind}); }} m_{kind} SEC(\".maps\");\n"
        );
        body +=
            &format!("{{ {kind} value = {value}; bpf_map_update_elem(&m_{kind}, &key, &value, BPF_ANY); }}");
        gauges += &format!("    - {{name: m_{kind}, help: h}}\n");
    }
    folder.pair("widths", &format!("metrics:\n  gauges:\n{gauges}"), &calls.object(&maps, &body));
    let exporter = Exporter::start(&[&folder.argument()]);
    calls.fire(1);
    let page = exporter.page();
    for (kind, value) in kinds {
        let line = format!("ebpf_exporter_m_{kind} {}", value.trim_end_matches(['U', 'L']));
        assert!(page.lines().any(|found| found == line), "{line} is not in:\n{page}");
    }
}

/// A histogram's count equals its events, its sum their sum.
#[test]
fn a_histogram_counts_every_event() {
    let calls = Workload::new();
    let folder = Folder::new();
    let map = "struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 6); __type(key, u32); __type(value, u64); } m SEC(\".maps\");";
    // Slots 0 to 4 hold values up to 1, 2, 4, 8, 16; slot 5 is the sum. Every call observes 3: slot 2.
    let object = calls.object(
        map,
        "u32 slot = 2, sum = 5; u64 *value = bpf_map_lookup_elem(&m, &slot); if (value) *value += 1; value = bpf_map_lookup_elem(&m, &sum); if (value) *value += 3;",
    );
    folder.pair(
        "hist",
        "metrics: {histograms: [{name: m, help: h, bucket_type: exp2, bucket_min: 0, bucket_max: 4, bucket_multiplier: 0.5, labels: [{name: bucket, size: 4, decoders: [{name: uint}]}]}]}",
        &object,
    );
    let exporter = Exporter::start(&[&folder.argument()]);
    calls.fire(1000);
    let page = exporter.page();
    let buckets: Vec<(String, f64)> = values_of(&page, "ebpf_exporter_m_bucket")
        .into_iter()
        .map(|(labels, value)| (labels["le"].clone(), value))
        .collect();
    let expected = [("0.5", 0.0), ("1", 0.0), ("2", 1000.0), ("4", 1000.0), ("8", 1000.0), ("+Inf", 1000.0)];
    assert_eq!(buckets, expected.map(|(le, value)| (le.to_owned(), value)), "{page}");
    assert_eq!(value_of(&page, "ebpf_exporter_m_count"), Some(1000.0));
    assert_eq!(value_of(&page, "ebpf_exporter_m_sum"), Some(1500.0));
}

/// Two configs that share a family by equal shape are added up; as gauges the later is refused.
#[test]
fn two_configs_share_a_family() {
    let calls = Workload::new();
    let folder = Folder::new();
    let map = "struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } m SEC(\".maps\");";
    let object = calls.object(map, &format!("u32 key = 0; {INCREMENT}"));
    folder.pair("first", "metrics: {counters: [{name: m, help: h}]}", &object);
    folder.pair("second", "metrics: {counters: [{name: m, help: h}]}", &object);
    let exporter = Exporter::start(&[&folder.argument()]);
    calls.fire(500);
    let page = exporter.page();
    assert_eq!(values_of(&page, "ebpf_exporter_m"), [(Default::default(), 1000.0)], "{page}");
    assert_eq!(page.matches("# TYPE ebpf_exporter_m counter").count(), 1, "{page}");
    assert_eq!(value_of(&page, "ebpf_exporter_config_loaded{config=\"second\"}"), Some(1.0));
}

/// A counter whose keys merge into one series never falls while an LRU evicts them.
#[test]
fn a_merged_counter_never_falls_under_eviction() {
    let calls = Workload::new();
    let folder = Folder::new();
    let map = "struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } m SEC(\".maps\"); u64 turn = 0;";
    let object = calls.object(map, "u32 key = __sync_fetch_and_add(&turn, 1) % 5000; u64 one = 1; u64 *value = bpf_map_lookup_elem(&m, &key); if (value) __sync_fetch_and_add(value, 1); else bpf_map_update_elem(&m, &key, &one, BPF_ANY);");
    folder.pair(
        "merged",
        "metrics: {counters: [{name: m, help: h, labels: [{name: k, size: 4, decoders: [{name: uint}, {name: static_map, static_map: {0: zero}}, {name: regexp, regexps: ['^(unknown|zero)']}]}]}]}",
        &object,
    );
    let exporter = Exporter::start(&[&folder.argument()]);
    let (mut last, mut rose) = (0.0, 0);
    for _ in 0..60 {
        calls.fire(200);
        let value = exporter.value("ebpf_exporter_m{k=\"unknown\"}").expect("the series is there");
        assert!(value >= last, "fell from {last} to {value}");
        rose += usize::from(value > last);
        last = value;
    }
    assert!(rose > 30, "it hardly moved: {rose}");
}

/// Counts calls in hash `m` under the numbers that are fired, one after another.
fn counting(calls: Workload, numbers: &str) -> std::path::PathBuf {
    calls.object(
        "struct key { u32 k; }; struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 128); __type(key, struct key); __type(value, u64); } m SEC(\".maps\"); u64 turn = 0;",
        &format!("static const volatile u32 numbers[] = {{{numbers}}}; u64 at = __sync_fetch_and_add(&turn, 1); if (at >= sizeof(numbers) / 4) return 0; struct key key = {{ numbers[at] }}; {INCREMENT}"),
    )
}

/// Names of enums come from the kernel that runs, and what has none is seen.
#[test]
fn enums_are_named_by_the_running_kernel() {
    let calls = Workload::new();
    let folder = Folder::new();
    let object = counting(calls, "1, 2, 10, 10, 77");
    let yaml = |decoder: &str| {
        format!(
            "metrics: {{counters: [{{name: m_total, map: m, help: h, labels: [{{name: k, size: 4, decoders: [{{name: enum, {decoder}}}]}}]}}]}}\n"
        )
    };
    folder.pair(
        "tcp",
        &format!("namespace: tcp\n{}", yaml("type: TCP_ESTABLISHED, strip_prefix: TCP_, lower: true")),
        &object,
    );
    folder.pair(
        "softirq",
        &format!("namespace: softirq\n{}", yaml("type: HI_SOFTIRQ, strip_suffix: _SOFTIRQ, lower: true")),
        &object,
    );
    folder.pair(
        "drop",
        &format!("namespace: drop\n{}", yaml("type: skb_drop_reason, strip_prefix: SKB_DROP_REASON_")),
        &object,
    );
    let exporter = Exporter::start(&[&folder.argument()]);
    calls.fire(5);
    let page = exporter.page();
    for (series, value) in [
        ("tcp_m_total{k=\"established\"}", 1.0),
        ("tcp_m_total{k=\"syn_sent\"}", 1.0),
        ("tcp_m_total{k=\"listen\"}", 2.0),
        ("tcp_m_total{k=\"unknown:77\"}", 1.0),
        ("softirq_m_total{k=\"timer\"}", 1.0),
        ("softirq_m_total{k=\"net_tx\"}", 1.0),
        ("drop_m_total{k=\"NOT_SPECIFIED\"}", 1.0),
    ] {
        assert_eq!(value_of(&page, series), Some(value), "{series}: {page}");
    }
    // As bpftool knows the drop reason of number 10.
    let types = crate::common::kernel::run("bpftool", &["btf", "dump", "file", "/sys/kernel/btf/vmlinux"]);
    let (_, reasons) = types.split_once("ENUM 'skb_drop_reason'").expect("the kernel has drop reasons");
    let tenth = reasons.lines().find(|line| line.ends_with(" val=10")).expect("there are more than ten");
    let name = tenth.trim().trim_start_matches("'SKB_DROP_REASON_").split('\'').next().unwrap();
    assert_eq!(value_of(&page, &format!("drop_m_total{{k=\"{name}\"}}")), Some(2.0), "{name}: {page}");
}

/// A metric with `zero` is there before the first event, and the event is an increase.
#[test]
fn zeros_are_there_before_the_first_event() {
    let calls = Workload::new();
    let folder = Folder::new();
    folder.pair(
        "zero",
        "metrics: {counters: [{name: m, help: h, zero: true, labels: [{name: k, size: 4, decoders: [{name: enum, type: HI_SOFTIRQ, strip_suffix: _SOFTIRQ, lower: true}, {name: regexp, regexps: ['^net_.x$']}]}]}]}",
        &counting(calls, "3, 3, 2, 9"),
    );
    let exporter = Exporter::start(&[&folder.argument(), "--config.strict"]);
    let check = |receive: f64, send: f64| {
        let found: Vec<(String, f64)> = exporter
            .values("ebpf_exporter_m")
            .into_iter()
            .map(|(labels, value)| (labels["k"].clone(), value))
            .collect();
        assert_eq!(found, [("net_tx".to_owned(), send), ("net_rx".to_owned(), receive)]);
    };
    check(0.0, 0.0);
    calls.fire(2);
    check(2.0, 0.0);
    calls.fire(2);
    check(2.0, 1.0);
}

/// Where the kernel brings no types, those of `--btf.path` name the numbers.
#[test]
fn a_file_names_numbers_where_the_kernel_cannot() {
    let calls = Workload::new();
    let folder = Folder::new();
    folder.pair(
        "tcp",
        "metrics: {counters: [{name: m, help: h, labels: [{name: k, size: 4, decoders: [{name: enum, type: TCP_LISTEN}]}]}]}",
        &counting(calls, "10"),
    );
    let nowhere = Folder::new();
    let sysfs = format!("--path.sysfs={}", nowhere.path().display());
    let blind = Exporter::launch(&[&folder.argument(), &sysfs]);
    assert_eq!(blind.value("ebpf_exporter_config_loaded{config=\"tcp\"}"), Some(0.0), "{}", blind.page());
    assert!(blind.log().contains("unknown-enum"), "{}", blind.log());
    drop(blind);
    let exporter = Exporter::start(&[&folder.argument(), &sysfs, "--btf.path=/sys/kernel/btf/vmlinux"]);
    calls.fire(1);
    assert_eq!(exporter.value("ebpf_exporter_m{k=\"TCP_LISTEN\"}"), Some(1.0), "{}", exporter.page());
}

/// `bpftally schema` prints what is committed.
#[test]
fn the_schema_is_printed() {
    let output = crate::common::kernel::run(env!("CARGO_BIN_EXE_bpftally"), &["schema"]);
    assert_eq!(output, bpftally::config::schema());
}
