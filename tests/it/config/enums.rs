//! Enums by name, from a kernel's types and the object's, and metrics that start at zero.

use bpftally::decode::{Chain, Outcome};

use super::*;

/// An object with enums of its own: one that no kernel has, one that shares its name with one of the
/// kernel's but nothing else, and one that is the kernel's with fewer and other values.
const SOURCE: &str = r#"
enum own_state { OWN_IDLE, OWN_BUSY = 5, OWN_ALSO_BUSY = 5, OWN_BROKEN = -1 };
enum cpuhp_state { MINE_ONE = 1, MINE_TWO = 2 };
enum hrtimer_restart { HRTIMER_RESTART = 7 };
enum { LONELY_ONE = 1, LONELY_TWO };
typedef enum { ALIAS_A = 1, ALIAS_B = 9 } alias_t;
enum wide { WIDE_BIG = 0x100000005ULL, WIDE_SMALL = 1 };
enum own_state a; enum cpuhp_state b; enum hrtimer_restart c; alias_t e; enum wide f;
const volatile u32 lonely = 0;
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } m SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u64); __type(value, u64); } pair SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } cpus SEC(".maps");
struct holder { typeof(LONELY_ONE) lonely; } holder;
SEC("raw_tp/sched_switch") int probe(void *ctx)
{
    enum { LONELY_USED = 0 } here = LONELY_USED;
    return a + b + c + e + f + holder.lonely + here;
}
"#;

fn checked_with(kernel: Host, text: &str) -> Checked {
    static OBJECT: OnceLock<Object> = OnceLock::new();
    let object = OBJECT.get_or_init(|| Object::of(SOURCE));
    let options = Options { host: Arc::new(kernel), ..options() };
    check_text(&ConfigFile::new("/configs/test.yaml"), text, &object.file(), &options)
}

fn running() -> Host {
    Host::new(Roots::default())
}

fn nothing() -> Host {
    Host::new(Roots::default()).with_kernel_btf(Some("/nonexistent/vmlinux".into()))
}

fn of_decoder(decoder: &str) -> String {
    format!(
        "metrics:\n  counters:\n  - name: m\n    help: h\n    labels:\n    - name: k\n      size: 4\n      decoders:\n      - {decoder}\n"
    )
}

fn shown(chain: &Chain, number: u32) -> String {
    let mut out = Vec::new();
    assert_eq!(chain.decode(&number.to_ne_bytes(), &mut out, &mut Vec::new()), Ok(Outcome::Label));
    String::from_utf8(out).unwrap()
}

/// The decoder is built without a problem and names these numbers so.
#[track_caller]
fn check(kernel: Host, decoder: &str, expected: &[(i64, &str)]) {
    let checked = checked_with(kernel, &of_decoder(decoder));
    assert_eq!(brief(&checked.problems), [""; 0], "{:#?}", checked.problems);
    let spec = checked.spec.unwrap();
    for (number, name) in expected {
        assert_eq!(shown(&spec.view.metrics[0].labels[0].chain, *number as u32), *name, "{decoder}");
    }
}

#[test]
fn enums_of_the_running_kernel() {
    check(
        running(),
        "{name: enum, type: TCP_ESTABLISHED, strip_prefix: TCP_, lower: true}",
        &[
            (1, "established"),
            (2, "syn_sent"),
            (7, "close"),
            (10, "listen"),
            (12, "new_syn_recv"),
            (77, "unknown:77"),
        ],
    );
    check(
        running(),
        "{name: enum, type: HI_SOFTIRQ, strip_suffix: _SOFTIRQ, lower: true}",
        &[(0, "hi"), (1, "timer"), (3, "net_rx"), (9, "rcu"), (10, "nr_softirqs"), (11, "unknown:11")],
    );
    let reasons = "{name: enum, type: skb_drop_reason, strip_prefix: SKB_DROP_REASON_, lower: yes}";
    check(running(), reasons, &[(2, "not_specified"), (3, "no_socket"), (1 << 20, "unknown:1048576")]);
    check(running(), "{name: enum, type: enum hrtimer_mode}", &[(0, "HRTIMER_MODE_ABS")]);
}

#[test]
fn enums_of_the_object_where_the_kernel_lacks_them() {
    for kernel in [running(), nothing()] {
        check(
            kernel,
            "{name: enum, type: own_state, strip_prefix: OWN_, lower: true}",
            &[(0, "idle"), (5, "busy"), (-1, "broken"), (6, "unknown:6")],
        );
    }
    check(running(), "{name: enum, type: own_state}", &[(5, "OWN_BUSY")]);
    check(running(), "{name: enum, type: alias_t}", &[(9, "ALIAS_B")]);
    check(running(), "{name: enum, type: ALIAS_A}", &[(9, "ALIAS_B")]);
    check(running(), "{name: enum, type: wide}", &[(1, "WIDE_SMALL")]);
}

#[test]
fn the_kernel_counts_unless_the_name_is_all_they_share() {
    check(
        running(),
        "{name: enum, type: hrtimer_restart}",
        &[(0, "HRTIMER_NORESTART"), (1, "HRTIMER_RESTART")],
    );
    check(nothing(), "{name: enum, type: hrtimer_restart}", &[(7, "HRTIMER_RESTART"), (1, "unknown:1")]);
    check(running(), "{name: enum, type: cpuhp_state}", &[(1, "MINE_ONE"), (3, "unknown:3")]);
}

#[test]
fn a_file_with_types_stands_for_the_kernel() {
    let folder = tempfile::tempdir().unwrap();
    let (raw, elf) = (folder.path().join("raw.btf"), folder.path().join("vmlinux"));
    std::fs::copy("/sys/kernel/btf/vmlinux", &raw).unwrap();
    // Another object is an ELF file with types as well as a kernel is.
    std::fs::copy(objects::compile("enum foreign { FOREIGN_ONE = 1 }; enum foreign value;"), &elf).unwrap();
    check(
        Host::new(Roots::default()).with_kernel_btf(Some(raw)),
        "{name: enum, type: TCP_LISTEN}",
        &[(10, "TCP_LISTEN")],
    );
    check(
        Host::new(Roots::default()).with_kernel_btf(Some(elf)),
        "{name: enum, type: foreign}",
        &[(1, "FOREIGN_ONE")],
    );
}

#[track_caller]
fn check_problem(kernel: Host, decoder: &str, expected: &[&str], parts: &[&str]) {
    let checked = checked_with(kernel, &of_decoder(decoder));
    assert_eq!(brief(&checked.problems), expected, "{:#?}", checked.problems);
    let told = format!("{:#?}", checked.problems);
    for part in parts {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
}

#[test]
fn what_is_wrong_with_an_enum() {
    const LOST: &str = "no-metric-left -";
    check_problem(running(), "{name: enum}", &["missing-type 9:16 (m)", LOST], &["TCP_ESTABLISHED"]);
    check_problem(running(), "{name: enum, type: ''}", &["missing-type 9:28 (m)", LOST], &[]);
    check_problem(running(), "{name: enum, type: }", &["missing-type 9:28 (m)", LOST], &[]);
    check_problem(running(), "{name: enum, type: [x]}", &["wrong-type 9:28 (m)", LOST], &[]);
    check_problem(
        running(),
        "{name: enum, type: skb_drop_raeson}",
        &["unknown-enum 9:28 (m)", LOST],
        &["did you mean `skb_drop_reason`?", "none in /sys/kernel/btf/vmlinux, none in the object"],
    );
    check_problem(
        running(),
        "{name: enum, type: own_stat}",
        &["unknown-enum 9:28 (m)", LOST],
        &["`own_state`"],
    );
    check_problem(
        running(),
        "{name: enum, type: TCP_ESTABLISHD}",
        &["unknown-enum 9:28 (m)", LOST],
        &["`TCP_ESTABLISHED`"],
    );
    check_problem(running(), "{name: enum, type: task_struct}", &["unknown-enum 9:28 (m)", LOST], &[]);
    check_problem(
        nothing(),
        "{name: enum, type: skb_drop_reason}",
        &["unknown-enum 9:28 (m)", LOST],
        &["cannot be read (reading /nonexistent/vmlinux: No such file", "and the object has none"],
    );
    check_problem(
        running(),
        "{name: enum, type: own_state, strip_prefix: OWM_}",
        &["?strip-without-effect 9:53 (m)"],
        &["OWN_IDLE, OWN_BUSY, OWN_ALSO_BUSY, OWN_BROKEN"],
    );
    check_problem(
        running(),
        "{name: enum, type: own_state, strip_suffix: _IDEL}",
        &["?strip-without-effect 9:53 (m)"],
        &[],
    );
}

#[test]
fn a_slot_is_no_enum_and_a_field_of_three_bytes_none_either() {
    let text = "metrics:\n  histograms:\n  - {name: m, help: h, bucket_type: linear, bucket_max: 3, labels: [{name: s, size: 4, decoders: [{name: enum, type: own_state}]}]}\n";
    let problems = checked_with(running(), text).problems;
    assert_eq!(problems[0].code, "slot-not-a-number", "{problems:#?}");
    let text = of_decoder("{name: enum, type: own_state}").replace("size: 4", "size: 3\n      padding: 1");
    assert_eq!(checked_with(running(), &text).problems[0].code, "field-size");
}

/// A metric of two labels of 4 bytes each over the map `pair`.
fn of_pair(one: &str, other: &str) -> String {
    format!(
        "metrics:\n  gauges:\n  - name: pair\n    help: h\n    zero: true\n    labels:\n    - {{name: one, size: 4, decoders: {one}}}\n    - {{name: other, size: 4, decoders: {other}}}\n"
    )
}

#[test]
fn zero_needs_labels_that_are_all_known() {
    let own = "[{name: enum, type: own_state}]";
    let map = "[{name: uint}, {name: static_map, allow_unknown: true, static_map: {1: a, 2: b}}]";
    #[track_caller]
    fn check(text: &str, expected: &[&str], parts: &[&str]) {
        let checked = checked_with(running(), text);
        assert_eq!(brief(&checked.problems), expected, "{:#?}\n{text}", checked.problems);
        assert_eq!(checked.spec.is_some_and(|spec| spec.view.metrics[0].zero), expected.is_empty());
        let told = format!("{:#?}", checked.problems);
        assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    }
    check(&of_pair(own, map), &[], &[]);
    check(&of_pair(own, "[{name: bool}]"), &[], &[]);
    check(
        &of_pair(own, "[{name: uint}]"),
        &["not-enumerable 5:11 (pair)", "no-metric-left -"],
        &["the label `other` is not"],
    );
    check(
        &of_pair("[{name: uid}]", "[{name: hex}]"),
        &["not-enumerable 5:11 (pair)", "no-metric-left -"],
        &["the labels `one`, `other` are not"],
    );
    let reason = "[{name: enum, type: skb_drop_reason}]";
    check(
        &of_pair(reason, reason),
        &["too-many-zeros 5:11 (pair)", "no-metric-left -"],
        &["of `one` × ", "10000 label sets at most"],
    );
    check("metrics: {counters: [{name: m, help: h, zero: true}]}\n", &[], &[]);
    let histogram = "metrics: {histograms: [{name: pair, help: h, zero: yes, bucket_type: linear, bucket_max: 3, labels: [{name: state, size: 4, decoders: [{name: enum, type: own_state}]}, {name: slot, size: 4, decoders: [{name: uint}]}]}]}\n";
    check(histogram, &[], &[]);
    check(
        "metrics:\n  counters:\n  - name: cpus\n    help: h\n    zero: true\n    labels:\n    - {name: k, size: 4, decoders: [{name: bool}]}\n    - {name: cpu, size: 2, decoders: [{name: uint}]}\n",
        &["not-enumerable 5:11 (cpus)", "no-metric-left -"],
        &["the label `cpu` is not"],
    );
}

#[test]
fn zero_that_is_none_is_off() {
    for zero in ["false", "no", "~", ""] {
        let text = format!("metrics: {{counters: [{{name: m, help: h, zero: {zero}}}]}}\n");
        let checked = checked_with(running(), &text);
        assert_eq!(brief(&checked.problems), [""; 0]);
        assert!(!checked.spec.unwrap().view.metrics[0].zero);
    }
    let text = "metrics: {counters: [{name: m, help: h, zero: 1}]}\n";
    assert_eq!(brief(&checked_with(running(), text).problems)[0], "wrong-type 1:47 (m)");
}
