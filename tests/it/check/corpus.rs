use super::*;
use crate::config;

/// A wrong line among good ones, `^` before the place, and the code.
type Mistake = (&'static str, &'static str);

/// One mistake each, seen through the command: what follows from it is not told.
const MISTAKES: &[Mistake] = &[
    ("metric-conflict", "  gauges:\n    - {name: ^by_address_total, map: queue_tasks, help: h}"),
    (
        "metric-collision",
        "  gauges:\n    - {name: latency_seconds, map: queue_tasks, help: h}\n  histograms:\n    - {name: x, map: latency_seconds, help: h, bucket_type: exp2, bucket_max: 3, labels: [{name: slot, size: 4, decoders: [{name: uint}]}]}\n    - {name: ^x_bucket, map: latency_seconds, help: h, bucket_type: exp2, bucket_max: 3, labels: [{name: slot, size: 4, decoders: [{name: uint}]}]}",
    ),
    ("missing-variable", "kaddrs: [^jifies]"),
    ("variable-size", "kaddrs: [^narrow]"),
    ("invalid-namespace", "namespace: ^9a"),
    ("missing-object", "object: ^other.o"),
    ("unknown-key", "^metric: {}"),
    ("invalid-metric-name", "  gauges:\n    - {name: ^a-b, help: h}"),
    ("missing-map", "  gauges:\n    - {name: ^queue_task, help: h}"),
    ("missing-map", "  gauges:\n    - {name: a, map: ^queue_task, help: h}"),
    ("map-kind", "  gauges:\n    - {name: a, map: ^ring, help: h}"),
    (
        "regexp-never-matches",
        "  gauges:\n    - {name: a, map: latency_seconds, help: h, labels: [{name: id, size: 4, decoders: [{name: uint}, {name: regexp, regexps: ['1', ^'k.*']}]}]}",
    ),
    ("missing-help", "  gauges:\n    - ^{name: queue_tasks}"),
    ("unknown-key", "  gauges:\n    - {name: queue_tasks, help: h, ^colour: red}"),
    ("wrong-type", "  gauges:\n    - {name: queue_tasks, help: h, scale: ^much}"),
    ("bad-scale", "  gauges:\n    - {name: queue_tasks, help: h, scale: ^0}"),
    ("bad-reduce", "  gauges:\n    - {name: queue_tasks, help: h, reduce: ^median}"),
    ("duplicate-key", "  gauges:\n    - {name: queue_tasks, help: h, ^help: again}"),
    (
        "unknown-field",
        "  gauges:\n    - {name: a, map: requests_total, help: h, labels: [device, ^operations]}",
    ),
    ("unknown-member", "  gauges:\n    - {name: a, map: traffic, help: h, value: ^package, labels: [id]}"),
    (
        "unknown-field",
        "  gauges:\n    - {name: a, map: requests_total, help: h, labels: [{name: b, field: ^'comm[16]', decoders: [uint]}]}",
    ),
    ("missing-value", "  gauges:\n    - {name: a, map: ^traffic, help: h, labels: [id]}"),
    ("value-type", "  gauges:\n    - {name: a, map: blobs, help: h, value: ^bytes, labels: [id]}"),
    (
        "mixed-labels",
        "  gauges:\n    - {name: a, map: requests_total, help: h, labels: [device, ^{name: operation, size: 1, decoders: [uint]}]}",
    ),
    (
        "cut-member",
        "  gauges:\n    - {name: a, map: requests_total, help: h, labels: [{name: b, size: ^2, decoders: [uint]}, {name: c, size: 22, decoders: [hex]}]}",
    ),
    (
        "key-size",
        "  gauges:\n    - {name: a, map: requests_total, help: h, labels: [^{name: b, size: 4, decoders: [uint]}]}",
    ),
    (
        "field-size",
        "  gauges:\n    - {name: a, map: latency_seconds, help: h, labels: [{name: id, size: 4, decoders: [^ksym]}]}",
    ),
    (
        "unknown-enum",
        "  gauges:\n    - {name: a, map: latency_seconds, help: h, labels: [{name: id, decoders: [{name: enum, type: ^no_such_enum}]}]}",
    ),
    (
        "missing-type",
        "  gauges:\n    - {name: a, map: latency_seconds, help: h, labels: [{name: id, decoders: [^enum]}]}",
    ),
    (
        "not-enumerable",
        "  gauges:\n    - {name: a, map: latency_seconds, help: h, zero: ^true, labels: [id]}",
    ),
    (
        "slots-type",
        "  histograms:\n    - {name: a, map: hists, help: h, bucket_type: log2, slots: ^sum, labels: [id]}",
    ),
    (
        "bad-buckets",
        "  histograms:\n    - {name: a, map: hists, help: h, bucket_type: log2, slots: slots, bucket_max: ^9, labels: [id]}",
    ),
    (
        "slots-conflict",
        "  histograms:\n    - {name: a, map: hists, help: h, bucket_type: log2, slots: slots, bucket: ^id, labels: [id]}",
    ),
    (
        "unknown-key",
        "  gauges:\n    - {name: a, map: latency_seconds, help: h, ^bucket_max: 3, labels: [id]}",
    ),
    (
        "missing-slots",
        "  histograms:\n    - {name: a, map: ^hists, help: h, bucket_type: log2, labels: [id]}",
    ),
    (
        "missing-name",
        "  gauges:\n    - {name: a, map: latency_seconds, help: h, labels: [{name: id, decoders: [{^uint: }]}]}",
    ),
    (
        "missing-name",
        "  gauges:\n    - {name: a, map: latency_seconds, help: h, labels: [{name: id, decoders: [^{static_map: {1: a}}]}]}",
    ),
    ("invalid-label-name", "  gauges:\n    - {name: a, map: requests_total, help: h, labels: [device, ^5]}"),
    (
        "empty-static-map",
        "  gauges:\n    - {name: a, map: latency_seconds, help: h, labels: [{name: id, decoders: [^static_map]}]}",
    ),
    (
        "static-map-never-matches",
        "  gauges:\n    - {name: a, map: latency_seconds, help: h, labels: [{name: id, decoders: [{name: static_map, static_map: ^{read: 0}}]}]}",
    ),
    (
        "field-size",
        "  gauges:\n    - {name: a, map: requests_total, help: h, labels: [{name: operation, decoders: [^inet_ip]}]}",
    ),
    ("wrong-type", "choose: ^[probe, other]"),
    ("missing-member", "globals: {^'levels[2]': 1}"),
    ("bad-limit", "  gauges:\n    - {name: a, map: latency_seconds, help: h, max_series: ^-1, labels: [id]}"),
    (
        "bad-limit",
        "  gauges:\n    - {name: a, map: latency_seconds, help: h, max_label_length: ^5, labels: [id]}",
    ),
    (
        "bad-limit",
        "  gauges:\n    - {name: a, map: latency_seconds, help: h, max_series: 5, other: {^ids: rest}, labels: [id]}",
    ),
    (
        "reduce-without-effect",
        "  gauges:\n    - {name: a, map: latency_seconds, help: h, reduce: ^max, labels: [id]}",
    ),
    (
        "strip-without-effect",
        "  gauges:\n    - {name: a, map: latency_seconds, help: h, labels: [{name: id, decoders: [{name: enum, type: task_state, strip_prefix: ^TSK_}]}]}",
    ),
    ("missing-variable", "globals: {^limits: 5}"),
    ("global-range", "globals: {limit: ^256}"),
    ("global-range", "globals: {label: ^abcd}"),
    ("global-type", "globals: {limit: ^many}"),
    ("global-type", "globals: {mode: ^FASTER}"),
    ("global-range", "globals: {levels: ^[1, 2, 3]}"),
    ("missing-program", "programs: {^prob: {enabled: false}}"),
    ("missing-program", "choose: [[probe, ^othr]]"),
    ("short-choice", "choose: [^[probe]]"),
    ("chosen-twice", "choose: [[probe, other, ^probe]]"),
    ("missing-map", "maps: {^ringg: {max_entries: 4096}}"),
    ("max-entries", "maps: {blobs: {max_entries: ^0}}"),
    ("bad-expire", "maps: {blobs: {expire: ^1ms}}"),
    ("bad-expire", "maps: {queue_tasks: {expire: ^1h}}"),
    ("reserved-metric", "  gauges:\n    - {name: ^enabled_configs, map: queue_tasks, help: h}"),
];

/// The texts of the mistakes with their places.
fn mistakes() -> Vec<(String, String)> {
    let place = |(code, line): &Mistake| {
        let text = if line.starts_with("  ") { format!("{GOOD}{line}\n") } else { format!("{line}\n{GOOD}") };
        let at = text.find('^')?;
        let before = &text[..at];
        let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
        let line = before.matches('\n').count() + 1;
        Some((text.replacen('^', "", 1), format!("{code} {line}:{column}")))
    };
    MISTAKES.iter().filter_map(place).collect()
}

/// What is told of a text.
struct Told {
    /// Each problem as `code line:column`.
    brief: Vec<String>,
    /// All that people see.
    text: String,
}

/// Checks many texts, each in a folder of its own, by one command: files have no say in each other.
/// What is told does not depend on the kernel that runs the tests.
fn check_all(texts: &[&str], source: &str) -> Vec<Told> {
    let folder = tempfile::tempdir().unwrap();
    let object = objects::compile(source);
    std::fs::copy(crate::corpus::kernel(), folder.path().join("vmlinux")).unwrap();
    for (number, text) in texts.iter().enumerate() {
        let of = folder.path().join(format!("{number:04}"));
        std::fs::create_dir(&of).unwrap();
        std::fs::write(of.join("x.yaml"), text).unwrap();
        std::os::unix::fs::symlink(&object, of.join("x.bpf.o")).unwrap();
    }
    let paths: Vec<String> = (0..texts.len()).map(|number| format!("{number:04}/x.yaml")).collect();
    let arguments = |format| {
        let options = [format, "--btf=vmlinux"].into_iter();
        options.chain(paths.iter().map(String::as_str)).collect::<Vec<&str>>()
    };
    let (json, human) =
        (run(folder.path(), &arguments("--format=json")), run(folder.path(), &arguments("--format=human")));
    let found: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
    let told = |number: usize| {
        let of = format!("{number:04}/");
        let is_of = |problem: &&Value| problem["file"].as_str().unwrap().starts_with(&of);
        let problems: Vec<Value> = found.iter().filter(is_of).cloned().collect();
        let paragraphs = human.stdout.split("\n\n").filter(|paragraph| paragraph.starts_with(&of));
        Told {
            brief: brief(&Value::Array(problems).to_string())
                .into_iter()
                .map(|found| found[1..].to_owned())
                .collect(),
            text: paragraphs.map(|paragraph| paragraph.replace(&of, "") + "\n\n").collect(),
        }
    };
    (0..texts.len()).map(told).collect()
}

/// What is told of all texts, word for word.
fn all_of(told: &[Told]) -> String {
    assert!(told.iter().all(|told| !told.text.is_empty()), "everybody is told something");
    told.iter().map(|told| format!("{}----\n\n", told.text)).collect()
}

#[test]
fn one_mistake_is_one_problem() {
    let mistakes = mistakes();
    let texts: Vec<&str> = mistakes.iter().map(|(text, _)| text.as_str()).collect();
    let found = check_all(&texts, SOURCE);
    let wrong: Vec<String> = mistakes
        .iter()
        .zip(&found)
        .filter(|((_, expected), found)| found.brief != [expected.as_str()])
        .map(|((text, expected), found)| format!("{expected} expected, {:?} found:\n{text}", found.brief))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(mistakes.len(), MISTAKES.len(), "every mistake has its place marked");
    golden::check("mistakes.txt", &all_of(&found));
}

/// The texts that the loader refuses, through the command: the same problems, and nothing that follows from them.
#[test]
fn what_the_loader_refuses_is_told_alike() {
    let cases: Vec<&config::bad::Case> = config::bad::all().collect();
    let texts: Vec<&str> = cases.iter().map(|(text, _)| *text).collect();
    let found = check_all(&texts, config::SOURCE);
    let mut single = 0;
    for ((text, expected), found) in cases.iter().zip(&found) {
        let expected: Vec<&str> = expected
            .iter()
            .map(|told| told.trim_start_matches('?').split(" (").next().unwrap())
            .filter(|told| *told != "no-metric-left -")
            .collect();
        assert_eq!(found.brief, expected, "{text}");
        single += usize::from(expected.len() == 1);
    }
    assert!(single >= 60, "{single} texts with one mistake");
    golden::check("refused-configs.txt", &all_of(&found));
}
