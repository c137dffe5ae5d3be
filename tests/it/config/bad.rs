use super::*;

/// A text, and all that is wrong with it in the order of the file.
pub type Case = (&'static str, &'static [&'static str]);

/// All texts that are wrong.
pub fn all() -> impl Iterator<Item = &'static Case> {
    let topics = [
        TEXT_THAT_IS_NO_YAML,
        TEXTS_THAT_ARE_NO_CONFIG,
        WRONG_TYPES,
        NAMES,
        KEYS,
        MAPS,
        DECODERS,
        BUCKETS,
        NUMBERS,
        SPANS,
        EVENTS,
        WHAT_COMES_LATER,
    ];
    topics.into_iter().flatten()
}

#[track_caller]
fn check(cases: &[Case]) {
    for (text, expected) in cases {
        let checked = checked(text);
        assert_eq!(brief(&checked.problems), *expected, "{:#?}\n{text}", checked.problems);
        assert!(checked.problems.iter().any(Problem::is_error), "nothing is wrong with {text}");
        let alone =
            checked.problems.iter().all(|problem| !problem.is_error() || problem.place.metric.is_some());
        assert_eq!(checked.spec.is_some(), alone, "{text}");
        checked.problems.iter().for_each(is_helpful);
    }
}

/// A problem says what was expected or what to do, unless its message says all there is.
#[track_caller]
fn is_helpful(problem: &Problem) {
    assert!(!problem.message.is_empty() && !problem.message.ends_with('.'), "{problem}");
    let complete = matches!(problem.code, "yaml-syntax" | "duplicate-label" | "no-metric-left");
    assert!(complete || problem.expected.is_some() || problem.help.is_some(), "no advice: {problem:#}");
}

const TEXT_THAT_IS_NO_YAML: &[Case] = &[
    ("a: b: c\n", &["yaml-syntax 1:5"]),
    ("metrics:\n\tcounters: []\n", &["yaml-syntax 2:1"]),
    ("metrics: [1, 2\n", &["yaml-syntax 1:10"]),
    ("metrics: \"open\n", &["yaml-syntax 1:10"]),
    ("metrics: *nowhere\n", &["yaml-syntax 1:10"]),
    ("metrics: {counters: []}}\n", &["yaml-syntax 1:24"]),
    ("metrics:\n  counters:\n   - name: a\n  - name: b\n", &["yaml-syntax 4:3"]),
    ("@metrics\n", &["yaml-syntax 1:1"]),
    ("metrics: {counters: [}\n", &["yaml-syntax 1:22"]),
    ("- ? [\n", &["yaml-syntax 2:1"]),
    ("metrics: \u{1}\n", &["yaml-syntax 1:10"]),
];

#[test]
fn text_that_is_no_yaml() {
    check(TEXT_THAT_IS_NO_YAML);
}

const TEXTS_THAT_ARE_NO_CONFIG: &[Case] = &[
    ("", &["empty-config -"]),
    ("# nothing\n", &["empty-config -"]),
    ("---\n", &["no-metrics 2:1"]),
    ("~\n", &["no-metrics 1:1"]),
    ("metrics\n", &["wrong-type 1:1"]),
    ("- metrics\n", &["wrong-type 1:1"]),
    ("{}\n", &["no-metrics 1:1"]),
    ("name: x\n", &["no-metrics 1:1"]),
    ("metrics: ~\n", &["no-metrics 1:1"]),
    ("metrics: {}\n", &["no-metrics 1:1"]),
    ("metrics: {counters: ~, gauges: }\n", &["no-metrics 1:1"]),
    ("metric: {counters: []}\n", &["unknown-key 1:1"]),
    ("counters: []\nx-own: 1\n", &["unknown-key 1:1"]),
    ("name: x\nmetrics: {counter: []}\n", &["unknown-key 2:11"]),
    ("metrics: {x-counters: []}\n", &["no-metrics 1:1"]),
    ("metrics: [counters]\n", &["wrong-type 1:10"]),
    ("metrics: counters\n", &["wrong-type 1:10"]),
    ("metrics: {counters: {name: array}}\n", &["wrong-type 1:21"]),
    ("metrics: {counters: 5}\n", &["wrong-type 1:21"]),
    ("[a]: b\nmetrics: {counters: []}\n", &["wrong-type 1:1"]),
    ("<<: 5\nmetrics: {counters: []}\n", &["bad-merge 1:5"]),
    ("<<: [5]\nmetrics: {counters: []}\n", &["bad-merge 1:6"]),
    ("programs:\n  - name: a\n    metrics: {}\n", &["version-1-config 1:1"]),
    (
        "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n",
        &["alias-bomb -"],
    ),
];

#[test]
fn texts_that_are_no_config() {
    check(TEXTS_THAT_ARE_NO_CONFIG);
}

const WRONG_TYPES: &[Case] = &[
    (
        "metrics:\n  counters:\n    - name: [array]\n      help: h\n",
        &["wrong-type 3:13 (metrics.counters[0])", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - name: array\n      help: {a: b}\n",
        &["wrong-type 4:13 (array)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - name: array\n      help: h\n      labels: cpu\n",
        &["wrong-type 5:15 (array)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - name: array\n      help: h\n      labels: {name: a}\n",
        &["wrong-type 5:15 (array)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - just text\n",
        &["wrong-type 3:7 (metrics.counters[0])", "no-metric-left -"],
    ),
    ("metrics:\n  counters:\n    - [a, b]\n", &["wrong-type 3:7 (metrics.counters[0])", "no-metric-left -"]),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: a, size: four, decoders: [{name: uint}]}]}\n",
        &["wrong-type 3:56 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: a, size: '4', decoders: [{name: uint}]}]}\n",
        &["wrong-type 3:56 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: a, size: -4, decoders: [{name: uint}]}]}\n",
        &["wrong-type 3:56 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: a, size: yes, decoders: [{name: uint}]}]}\n",
        &["wrong-type 3:56 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: a, size: 4, padding: 0x, decoders: [{name: uint}]}]}\n",
        &["wrong-type 3:68 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: a, size: 4, decoders: uint}]}\n",
        &["wrong-type 3:69 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: a, size: 4, decoders: [[uint]]}]}\n",
        &["wrong-type 3:70 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: a, size: 4, decoders: [{name: uint}, {name: static_map, static_map: [a]}]}]}\n",
        &["wrong-type 3:115 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: a, size: 4, decoders: [{name: uint}, {name: static_map, static_map: {1: [a]}}]}]}\n",
        &["wrong-type 3:119 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: a, size: 4, decoders: [{name: uint}, {name: static_map, static_map: {1: a}, allow_unknown: maybe}]}]}\n",
        &["wrong-type 3:138 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: a, size: 4, decoders: [{name: string}, {name: regexp, regexps: a}]}]}\n",
        &["wrong-type 3:110 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, perf_event_array: 'true', labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["wrong-type 3:49 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, flush_interval: 5 minutes, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["wrong-type 3:47 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, flush_interval: 2001-12-14, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["wrong-type 3:47 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: exp2, bucket_min: low, bucket_max: 5, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["wrong-type 3:62 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: exp2, bucket_max: .inf, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["wrong-type 3:62 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: exp2, bucket_max: 5, bucket_multiplier: 1us, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["wrong-type 3:84 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: fixed, bucket_keys: 5, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["wrong-type 3:64 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: fixed, bucket_keys: [1, two], labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["wrong-type 3:68 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  gauges:\n    - {name: array, help: h, scale: big}\n",
        &["wrong-type 3:37 (array)", "no-metric-left -"],
    ),
    ("kaddrs: jiffies\nmetrics: {counters: []}\n", &["wrong-type 1:9"]),
    ("object: [a]\nmetrics: {counters: []}\n", &["wrong-type 1:9"]),
    ("cgroup_id_map: yes\nmetrics: {counters: []}\n", &["wrong-type 1:16"]),
];

#[test]
fn wrong_types() {
    check(WRONG_TYPES);
}

const NAMES: &[Case] = &[
    (
        "metrics:\n  counters:\n    - help: h\n",
        &["missing-name 3:7 (metrics.counters[0])", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - name: ''\n      help: h\n",
        &["missing-name 3:13 (metrics.counters[0])", "no-metric-left -"],
    ),
    ("metrics:\n  counters:\n    - name: array\n", &["missing-help 3:7 (array)", "no-metric-left -"]),
    (
        "metrics:\n  counters:\n    - name: array\n      help: ''\n",
        &["missing-help 4:13 (array)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - name: ~\n      help: ~\n",
        &[
            "missing-name 3:13 (metrics.counters[0])",
            "missing-help 4:13 (metrics.counters[0])",
            "no-metric-left -",
        ],
    ),
    (
        "metrics:\n  counters:\n    - {}\n",
        &[
            "missing-name 3:7 (metrics.counters[0])",
            "missing-help 3:7 (metrics.counters[0])",
            "no-metric-left -",
        ],
    ),
    (
        "metrics:\n  counters:\n    - ~\n",
        &[
            "missing-name 3:7 (metrics.counters[0])",
            "missing-help 3:7 (metrics.counters[0])",
            "no-metric-left -",
        ],
    ),
    (
        "metrics:\n  counters:\n    - {name: my-metric, map: array, help: h}\n",
        &["invalid-metric-name 3:14 (my-metric)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: 'my metric', map: array, help: h}\n",
        &["invalid-metric-name 3:14 (my metric)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: zähler, map: array, help: h}\n",
        &["invalid-metric-name 3:14 (zähler)", "no-metric-left -"],
    ),
    ("namespace: 9lives\nmetrics: {counters: []}\n", &["invalid-namespace 1:12"]),
    (
        "namespace: ''\nmetrics:\n  counters:\n    - {name: 4xx, map: array, help: h}\n",
        &["invalid-metric-name 4:14 (4xx)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{size: 4, decoders: [{name: uint}]}]}\n",
        &["missing-name 3:40 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: my-label, size: 4, decoders: [{name: uint}]}]}\n",
        &["invalid-label-name 3:47 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: 'a:b', size: 4, decoders: [{name: uint}]}]}\n",
        &["invalid-label-name 3:47 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: __name__, size: 4, decoders: [{name: uint}]}]}\n",
        &["reserved-label 3:47 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_8, help: h, labels: [{name: a, size: 4, decoders: [{name: uint}]}, {name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["duplicate-label 3:93 (hash_8)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_8, help: h, bucket_type: exp2, bucket_max: 5, labels: [{name: le, size: 4, decoders: [{name: uint}]}, {name: b, size: 4, decoders: [{name: uint}]}]}\n",
        &["reserved-label 3:81 (hash_8)", "no-metric-left -"],
    ),
];

#[test]
fn names() {
    check(NAMES);
}

const KEYS: &[Case] = &[
    (
        "metrics:\n  counters:\n    - {name: hash_8, help: h, labels: [{name: a, size: 4, decoders: [{name: uint}]}, {name: b, decoders: [{name: uint}]}]}\n",
        &["label-size 3:86 (hash_8)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: a, size: 0, decoders: [{name: uint}]}]}\n",
        &["label-size 3:56 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_8, help: h, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["key-size 3:40 (hash_8)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: a, size: 4, padding: 4, decoders: [{name: uint}]}]}\n",
        &["key-size 3:40 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: a, size: 9223372036854775807, padding: 9223372036854775807, decoders: [{name: uint}]}]}\n",
        &["key-size 3:40 (hash_4)", "field-size 3:125 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_8, help: h}\n",
        &["key-size 3:7 (hash_8)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: percpu_hash_8, help: h, labels: [{name: cpu, size: 2, decoders: [{name: uint}]}]}\n",
        &["key-size 3:47 (percpu_hash_8)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: percpu_array, help: h, labels: [{name: cpu, size: 4, decoders: [{name: uint}]}]}\n",
        &["cpu-label 3:64 (percpu_array)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: percpu_array, help: h, labels: [{name: cpu, size: 2, padding: 2, decoders: [{name: uint}]}]}\n",
        &["cpu-label 3:64 (percpu_array)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: percpu_hash_8, help: h, labels: [{name: a, size: 8, decoders: [{name: uint}]}, {name: cpu, size: 4, decoders: [{name: uint}]}]}\n",
        &["key-size 3:47 (percpu_hash_8)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: array, help: h, labels: [{name: a, size: 4, decoders: [{name: uint}]}, {name: cpu, size: 2, decoders: [{name: uint}]}]}\n",
        &["key-size 3:39 (array)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: array, help: h, bucket_type: exp2, bucket_max: 5}\n",
        &["missing-slot 3:7 (array)", "no-metric-left -"],
    ),
];

#[test]
fn keys() {
    check(KEYS);
}

const MAPS: &[Case] = &[
    (
        "metrics:\n  counters:\n    - {name: hash_44, help: h}\n",
        &["missing-map 3:14 (hash_44)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: mine, map: nothing_like_it_at_all, help: h}\n",
        &["missing-map 3:25 (mine)", "no-metric-left -"],
    ),
    ("metrics:\n  counters:\n    - {name: ring, help: h}\n", &["map-kind 3:14 (ring)", "no-metric-left -"]),
    ("metrics:\n  counters:\n    - {name: perf, help: h}\n", &["map-kind 3:14 (perf)", "no-metric-left -"]),
    (
        "metrics:\n  counters:\n    - {name: mine, map: stacks, help: h}\n",
        &["map-kind 3:25 (mine)", "no-metric-left -"],
    ),
    ("metrics:\n  counters:\n    - {name: queue, help: h}\n", &["map-kind 3:14 (queue)", "no-metric-left -"]),
    (
        "metrics:\n  counters:\n    - {name: value_struct, help: h}\n",
        &["missing-value 3:14 (value_struct)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: value_three, help: h}\n",
        &["value-size 3:14 (value_three)", "no-metric-left -"],
    ),
    ("kaddrs: [jiffies, jiffys]\nmetrics: {counters: []}\n", &["missing-variable 1:19"]),
    ("kaddrs: [narrow]\nmetrics: {counters: []}\n", &["variable-size 1:10"]),
    ("kaddrs: ['']\nmetrics: {counters: []}\n", &["missing-variable 1:10"]),
];

#[test]
fn maps() {
    check(MAPS);
}

const DECODERS: &[Case] = &[
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: a, size: 4, decoders: []}]}\n",
        &["no-decoders 3:40 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: a, size: 4}]}\n",
        &["no-decoders 3:40 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: a, size: 4, decoders: [{name: unit}]}]}\n",
        &["unknown-decoder 3:77 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: a, size: 4, decoders: [{name: uint}, {name: nope}, {name: nada}]}]}\n",
        &["unknown-decoder 3:91 (hash_4)", "unknown-decoder 3:105 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: a, size: 4, decoders: [{allow_unknown: true}]}]}\n",
        &["missing-name 3:70 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_32, help: h, labels: [{name: a, size: 32, decoders: [{name: string}, {name: regexp, regexps: [ok, '(']}]}]}\n",
        &["bad-regexp 3:117 (hash_32)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_32, help: h, labels: [{name: a, size: 32, decoders: [{name: string}, {name: regexp}]}]}\n",
        &["no-regexps 3:95 (hash_32)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_5, help: h, labels: [{name: a, size: 5, decoders: [{name: uint}]}]}\n",
        &["field-size 3:77 (hash_5)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_4, help: h, labels: [{name: a, size: 4, decoders: [{name: ksym}]}]}\n",
        &["field-size 3:77 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: hash_5, help: h, labels: [{name: a, size: 5, decoders: [{name: kstack}]}]}\n",
        &["field-size 3:77 (hash_5)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: exp2, bucket_max: 5, labels: [{name: b, size: 4, decoders: [{name: ifname}]}]}\n",
        &["slot-not-a-number 3:111 (hash_4)", "no-metric-left -"],
    ),
];

#[test]
fn decoders() {
    check(DECODERS);
}

const BUCKETS: &[Case] = &[
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["missing-bucket-type 3:7 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: exp3, bucket_max: 5, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["bad-bucket-type 3:44 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: log2, bucket_min: -1, bucket_max: 5, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["bad-buckets 3:78 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: exp2, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["bad-buckets 3:7 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: exp2, bucket_min: 5, bucket_max: 4, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["bad-buckets 3:77 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: linear, bucket_max: 1000000, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["bad-buckets 3:64 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: exp2, bucket_max: 1024, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["bad-buckets 3:62 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: exp2, bucket_max: 1000, bucket_multiplier: 1e20, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["bad-buckets 3:62 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: exp2, bucket_min: -2000, bucket_max: 5, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["bad-buckets 3:81 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: exp2zero, bucket_min: -1, bucket_max: 5, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["bad-buckets 3:82 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: linear, bucket_min: 9223372036854775800, bucket_max: 9223372036854775807, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["bad-buckets 3:97 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: linear, bucket_min: -9223372036854775808, bucket_max: 9223372036854775807, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["bad-buckets 3:98 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: linear, bucket_max: 5, bucket_multiplier: -1, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["bad-buckets 3:86 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: linear, bucket_max: 5, bucket_multiplier: .nan, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["bad-buckets 3:86 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: fixed, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["bad-buckets 3:7 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: fixed, bucket_keys: [], labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["bad-buckets 3:64 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: fixed, bucket_keys: [1, 3, 2], labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["bad-buckets 3:71 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: fixed, bucket_keys: [1, 1], labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["bad-buckets 3:68 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: fixed, bucket_keys: [1, .nan], labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["bad-buckets 3:68 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, bucket_type: fixed, bucket_keys: [1, .inf], labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["bad-buckets 3:68 (hash_4)", "no-metric-left -"],
    ),
];

#[test]
fn buckets() {
    check(BUCKETS);
}

const NUMBERS: &[Case] = &[
    (
        "metrics:\n  gauges:\n    - {name: array, help: h, scale: 0}\n",
        &["bad-scale 3:37 (array)", "no-metric-left -"],
    ),
    (
        "metrics:\n  gauges:\n    - {name: array, help: h, scale: .inf}\n",
        &["bad-scale 3:37 (array)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: array, help: h, scale: -1}\n",
        &["bad-scale 3:37 (array)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: hash_4, help: h, scale: 2, bucket_type: exp2, bucket_max: 5, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["bad-scale 3:38 (hash_4)", "no-metric-left -"],
    ),
    (
        "metrics:\n  gauges:\n    - {name: percpu_array, help: h, reduce: maximum}\n",
        &["bad-reduce 3:45 (percpu_array)", "no-metric-left -"],
    ),
    (
        "metrics:\n  gauges:\n    - {name: percpu_array, help: h, reduce: Sum}\n",
        &["bad-reduce 3:45 (percpu_array)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: percpu_array, help: h, reduce: max, bucket_type: exp2, bucket_max: 5, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}\n",
        &["bad-reduce 3:45 (percpu_array)", "no-metric-left -"],
    ),
];

#[test]
fn numbers() {
    check(NUMBERS);
}

const SPANS: &[Case] = &[
    ("tracing: 5\n", &["wrong-type 1:10"]),
    ("tracing: {spans: 5}\n", &["wrong-type 1:18"]),
    ("tracing: {spans: [5]}\n", &["wrong-type 1:19 (tracing.spans[0])", "no-metric-left -"]),
    ("tracing: {spans: [{name: exec}]}\n", &["missing-ringbuf 1:19 (exec)", "no-metric-left -"]),
    ("tracing: {spans: [{name: exec, ringbuf: [ring]}]}\n", &["wrong-type 1:41 (exec)", "no-metric-left -"]),
    ("tracing: {spans: [{ringbuf: rink}]}\n", &["missing-map 1:29 (rink)", "no-metric-left -"]),
    ("tracing: {spans: [{ringbuf: hash_8}]}\n", &["map-kind 1:29 (hash_8)", "no-metric-left -"]),
    ("tracing: {spans: [{ringbuf: perf}]}\n", &["map-kind 1:29 (perf)", "no-metric-left -"]),
    (
        "tracing:\n  spans:\n  - ringbuf: ring\n    labels:\n    - {size: 4, decoders: [uint]}\n    - {name: a, decoders: [uint], size: 0}\n",
        &["?missing-name 5:7 (ring)", "label-size 6:41 (ring)", "no-metric-left -"],
    ),
    (
        "tracing:\n  spans:\n  - ringbuf: ring\n    labels:\n    - {name: a, size: 4, decoders: [uint]}\n    - {name: a, size: 3, decoders: [uint]}\n",
        &["?duplicate-label 6:14 (ring)", "field-size 6:37 (ring)", "no-metric-left -"],
    ),
    (
        "tracing:\n  spans:\n  - ringbuf: ring\n    labels:\n    - {name: trace_id, size: 8, decoders: [hex]}\n    - {name: span_id, size: 8, decoders: [uint]}\n    - {name: span_duration_ns, size: 8, decoders: [hex]}\n",
        &["span-part 5:7 (ring)", "span-part 6:7 (ring)", "span-part 7:7 (ring)", "no-metric-left -"],
    ),
    // By name.
    (
        "tracing: {spans: [{ringbuf: ring, labels: [comm]}]}\n",
        &["no-event-type 1:44 (ring)", "no-metric-left -"],
    ),
    (
        "tracing: {spans: [{ringbuf: ring, type: mixed, labels: [com, {name: trace_id, field: device}]}]}\n",
        &["unknown-member 1:57 (ring)", "no-metric-left -"],
    ),
    (
        "tracing: {spans: [{ringbuf: ring, type: mixed, labels: [{name: trace_id, field: device}]}]}\n",
        &["span-part 1:57 (ring)", "no-metric-left -"],
    ),
    (
        "tracing: {spans: [{ringbuf: ring, type: mixed, where: {operation: 256}, labels: [comm]}]}\n",
        &["condition-value 1:67 (ring)", "no-metric-left -"],
    ),
];

#[test]
fn spans() {
    check(SPANS);
}

const EVENTS: &[Case] = &[
    (
        "metrics:\n  counters:\n    - {name: a, help: h, ringbuf: rings}\n",
        &["missing-map 3:35 (a)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: a, help: h, ringbuf: array}\n",
        &["map-kind 3:35 (a)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: a, help: h, ringbuf: perf}\n",
        &["map-kind 3:35 (a)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: ring, help: h, perf_event_array: true}\n",
        &["map-kind 3:14 (ring)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: a, help: h, perf_event_array: true, ringbuf: ring}\n",
        &["event-conflict 3:59 (a)", "map-kind 3:59 (a)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: a, help: h, global: total, ringbuf: ring}\n",
        &["event-conflict 3:34 (a)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: a, help: h, ringbuf: ring, map: array}\n",
        &["event-conflict 3:46 (a)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: a, help: h, ringbuf: [ring]}\n",
        &["wrong-type 3:35 (a)", "no-metric-left -"],
    ),
    // Names without a type that they are names of.
    (
        "metrics:\n  counters:\n    - {name: a, help: h, ringbuf: ring, labels: [one]}\n",
        &["no-event-type 3:50 (a)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: a, help: h, ringbuf: ring, value: one}\n",
        &["no-event-type 3:48 (a)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: a, help: h, ringbuf: ring, where: {one: 1}}\n",
        &["no-event-type 3:49 (a)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: a, help: h, ringbuf: ring, type: pairs, labels: [one]}\n",
        &["unknown-type 3:47 (a)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: a, help: h, ringbuf: ring, type: struct pair, labels: [three]}\n",
        &["unknown-member 3:69 (a)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: a, help: h, ringbuf: ring, type: mixed, value: comm}\n",
        &["value-type 3:61 (a)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: a, help: h, ringbuf: ring, type: mixed, labels: [{name: a, size: 4, decoders: [uint]}, device]}\n",
        &["mixed-labels 3:101 (a)", "no-metric-left -"],
    ),
    // Conditions that nothing fulfils.
    (
        "metrics:\n  counters:\n    - {name: a, help: h, ringbuf: ring, type: mixed, where: {operation: 256}}\n",
        &["condition-value 3:73 (a)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: a, help: h, ringbuf: ring, type: mixed, where: {operation: [1, x, -1], time: yes}}\n",
        &[
            "condition-value 3:77 (a)",
            "condition-value 3:80 (a)",
            "condition-value 3:91 (a)",
            "no-metric-left -",
        ],
    ),
    (
        "metrics:\n  counters:\n    - {name: a, help: h, ringbuf: ring, type: mixed, where: {comm: bash}}\n",
        &["condition-type 3:62 (a)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: a, help: h, ringbuf: ring, type: mixed, where: {operation: []}}\n",
        &["condition-value 3:73 (a)", "no-metric-left -"],
    ),
    (
        "metrics:\n  counters:\n    - {name: a, help: h, ringbuf: ring, type: mixed, where: [operation]}\n",
        &["wrong-type 3:61 (a)", "no-metric-left -"],
    ),
    // Histograms.
    (
        "metrics:\n  histograms:\n    - {name: a, help: h, ringbuf: ring, type: mixed, bucket_type: exp2, bucket_max: 4}\n",
        &["missing-observe 3:7 (a)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: a, help: h, ringbuf: ring, type: mixed, observe: comm, bucket_type: exp2, bucket_max: 4}\n",
        &["value-type 3:63 (a)", "no-metric-left -"],
    ),
    (
        "metrics:\n  histograms:\n    - {name: a, help: h, ringbuf: ring, type: mixed, value: time, observe: time, slots: time, bucket: time, sum: time, bucket_type: exp2, bucket_max: 4}\n",
        &[
            "event-conflict 3:61 (a)",
            "event-conflict 3:89 (a)",
            "event-conflict 3:103 (a)",
            "event-conflict 3:114 (a)",
            "no-metric-left -",
        ],
    ),
    (
        "metrics:\n  gauges:\n    - {name: a, help: h, ringbuf: ring}\n",
        &["event-gauge 3:26 (a)", "no-metric-left -"],
    ),
    // What only events have.
    (
        "metrics:\n  counters:\n    - {name: array, help: h, type: pair, where: {one: 1}}\n",
        &["no-events 3:36 (array)", "no-events 3:50 (array)", "no-metric-left -"],
    ),
    ("maps: {perf: {pages: 3}}\nmetrics: {counters: []}\n", &["buffer-pages 1:22"]),
    ("maps: {perf: {pages: 0}}\nmetrics: {counters: []}\n", &["buffer-pages 1:22"]),
    ("maps: {ring: {pages: 4}}\nmetrics: {counters: []}\n", &["buffer-pages 1:22"]),
    ("maps: {array: {pages: 4}}\nmetrics: {counters: []}\n", &["buffer-pages 1:23"]),
];

#[test]
fn events() {
    check(EVENTS);
}

const WHAT_COMES_LATER: &[Case] = &[
    ("maps: {array: {pin_path: x}}\nmetrics: {counters: []}\n", &["bad-pin 1:26"]),
    ("maps: {array: {pin_path: /}}\nmetrics: {counters: []}\n", &["bad-pin 1:26"]),
    ("maps: {array: {pin_path: /sys/fs/bpf/a.b}}\nmetrics: {counters: []}\n", &["bad-pin 1:26"]),
    ("maps: {array: {pin_path: /sys/fs/bpf/../a}}\nmetrics: {counters: []}\n", &["bad-pin 1:26"]),
    ("maps: {array: {from_pin: /x}}\nmetrics: {counters: []}\n", &["bad-pin 1:8"]),
    ("maps: {theirs: {from_pin: x}}\nmetrics: {counters: []}\n", &["bad-pin 1:27"]),
    (
        "maps: {theirs: {from_pin: /x, max_entries: 5, expire: 1h, carry: true, pages: 8, shared: x, pin_path: /y}}\nmetrics: {counters: []}\n",
        &[
            "pin-is-read-only 1:31",
            "pin-is-read-only 1:47",
            "pin-is-read-only 1:59",
            "pin-is-read-only 1:72",
            "pin-is-read-only 1:82",
            "pin-is-read-only 1:93",
        ],
    ),
    (
        "maps: {theirs: {from_pin: /x}}\nmetrics: {counters: [{name: a, help: h, ringbuf: theirs, type: x}]}\n",
        &["?pin-missing 1:27", "pin-events 2:50 (a)", "no-metric-left -"],
    ),
    ("maps: {array: {shared: ''}}\nmetrics: {counters: []}\n", &["bad-shared 1:24"]),
    ("maps: {array: {shared: a, pin_path: /x}}\nmetrics: {counters: []}\n", &["bad-shared 1:24"]),
    ("maps: {ring: {shared: a}}\nmetrics: {counters: []}\n", &["bad-shared 1:23"]),
    ("maps: {array: {carry: sometimes}}\nmetrics: {counters: []}\n", &["wrong-type 1:23"]),
    ("programs: {probe: {attach: {cgroup: {}}}}\nmetrics: {counters: []}\n", &["attach-kind 1:29"]),
    (
        "programs: {probe: {attach: {cgroup: {path: {a: b}}}}}\nmetrics: {counters: []}\n",
        &["attach-kind 1:29", "wrong-type 1:44"],
    ),
];

#[test]
fn what_comes_later() {
    check(WHAT_COMES_LATER);
}

#[test]
fn one_wrong_metric_costs_itself_alone() {
    let checked = checked(
        "metrics:
  counters:
    - {name: hash_44, help: wrong map}
    - {name: array, help: good}
  histograms:
    - {name: hash_4, help: wrong buckets, bucket_type: exp2, labels: [{name: b, size: 4, decoders: [{name: uint}]}]}
  gauges:
    - {name: gauge, map: array, help: good}
    - {name: hash_8, help: [wrong type]}
",
    );
    assert_eq!(
        brief(&checked.problems),
        [
            "missing-map 3:14 (hash_44)",
            "bad-buckets 6:7 (hash_4)",
            "key-size 9:7 (hash_8)",
            "wrong-type 9:28 (hash_8)"
        ]
    );
    let spec = checked.spec.unwrap();
    let names: Vec<&str> = spec.view.metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(names, ["array", "gauge"]);
}

#[test]
fn every_problem_of_a_metric_is_told_at_once() {
    let checked = checked(
        "metrics:
  histograms:
    - name: hash-8
      bucket_type: exp2
      bucket_min: 5
      bucket_max: 5
      scale: 0
      labels:
        - {name: le, size: 4, decoders: [{name: unit}]}
        - {name: b, size: 2, decoders: [{name: errno}]}
",
    );
    let expected = [
        "missing-help 3:7 (hash-8)",
        "invalid-metric-name 3:13 (hash-8)",
        "bad-buckets 6:19 (hash-8)",
        "bad-scale 7:14 (hash-8)",
        "reserved-label 9:18 (hash-8)",
        "unknown-decoder 9:49 (hash-8)",
        "slot-not-a-number 10:48 (hash-8)",
        "no-metric-left -",
    ];
    assert_eq!(brief(&checked.problems), expected);
}

#[test]
fn close_names_are_suggested() {
    for (text, help) in [
        ("metrics: {counters: [{name: hash4, map: hash_44, help: h}]}", "did you mean `hash_4`?"),
        ("metrics: {counters: [{name: array, help: h, lables: []}]}", "did you mean `labels`?"),
        ("metric: {}\nmetrics: {counters: []}", "did you mean `metrics`?"),
        ("kaddrs: [jifies]\nmetrics: {counters: []}", "did you mean `jiffies`?"),
        (
            "metrics: {counters: [{name: hash_4, help: h, labels: [{name: a, size: 4, decoders: [{name: unit}]}]}]}",
            "did you mean `uint`?",
        ),
        (
            "metrics: {histograms: [{name: hash_4, help: h, bucket_type: exp2zro, bucket_max: 4, labels: [{name: a, size: 4, decoders: [{name: uint}]}]}]}",
            "did you mean `exp2zero`?",
        ),
    ] {
        let checked = checked(text);
        assert_eq!(checked.problems[0].help.as_deref(), Some(help), "{text}");
    }
}

#[test]
fn many_problems_are_bounded() {
    let mut text = "metrics:\n  counters:\n".to_owned();
    for _ in 0..3000 {
        text.push_str("    - {name: [x], help: {}}\n");
    }
    let started = std::time::Instant::now();
    let checked = checked(&text);
    assert!(checked.spec.is_none());
    assert_eq!(checked.problems.len(), 5000);
    assert!(started.elapsed() < std::time::Duration::from_secs(120), "{:?}", started.elapsed());
}

/// The labels of a metric in place of `{}`.
fn with_labels(labels: &str) -> String {
    format!("metrics: {{counters: [{{name: hash_4, help: h, labels: [{labels}]}}]}}")
}

#[track_caller]
fn check_first(text: &str, expected: &str) {
    let checked = checked(text);
    let first = checked.problems.first().unwrap();
    assert_eq!((first.code, first.severity), (expected, Severity::Error), "{first:#}");
    is_helpful(first);
}

/// Each of these took minutes, or gigabytes.
#[test]
fn more_than_anybody_writes_is_refused() {
    let labels: Vec<String> = (0..200_000).map(|index| format!("a{index}")).collect();
    check_first(&with_labels(&labels.join(", ")), "too-large");
    check_first(
        &with_labels(&format!("{{name: a, size: 4, decoders: [{}]}}", "uint, ".repeat(101))),
        "too-large",
    );
    // A thousand states, a thousand times.
    let pattern = format!("(?:{}){{1000}}", "ab".repeat(1500));
    let label = |index: usize| {
        let decoders = format!("[uint, {{name: regexp, regexps: ['{pattern}']}}]");
        format!("{{name: a{index}, size: 4, decoders: {decoders}}}")
    };
    let labels: Vec<String> = (0..1000).map(label).collect();
    let checked = checked(&with_labels(&labels.join(", ")));
    let codes: Vec<_> = checked.problems.iter().map(|problem| problem.code).collect();
    let count = |code| codes.iter().filter(|found| **found == code).count();
    assert_eq!((count("bad-regexp"), count("too-large")), (4, 996), "{:#?}", checked.problems.first());
}

/// The same, where the file is right, or every mistake in it is told.
#[test]
fn large_files_are_read_in_time() {
    let names = |count: usize, between: &str| {
        (0..count).map(|index| format!("k{index}{between}")).collect::<String>()
    };
    let long = "k".repeat(1 << 20);
    for text in [
        format!("{long}: 1\nmetrics: {{counters: []}}"),
        format!("globals: {{{long}: 1}}\nmetrics: {{counters: []}}"),
        format!("{}metrics: {{counters: []}}", names(20_000, ": 1\n")),
        format!("globals: {{{}}}\nmetrics: {{counters: []}}", names(20_000, ": 1, ")),
        format!("programs: {{{}}}\nmetrics: {{counters: []}}", names(20_000, ": {}, ")),
        format!("maps: {{{}}}\nmetrics: {{counters: []}}", names(20_000, ": {}, ")),
        format!("kaddrs: [{}]\nmetrics: {{counters: []}}", names(20_000, ", ")),
        format!("choose: [[{}]]\nmetrics: {{counters: []}}", names(20_000, ", ")),
        format!(
            "x-a: 1\nmetrics: {{counters: [{{{}{}}}]}}",
            names(20_000, ": 1, "),
            "<<: {a: 1}, ".repeat(20_000)
        ),
        with_labels(&format!(
            "{{name: a, size: 4, decoders: [uint, {{name: static_map, static_map: {{{}}}, {}}}]}}",
            names(20_000, ": v, "),
            "static_map: {a: b}, ".repeat(20_000)
        )),
        with_labels(&format!("{{name: a, size: 4, decoders: [{long}]}}")),
    ] {
        let checked = checked(&text);
        assert!(checked.spec.is_some() || checked.problems.iter().any(Problem::is_error), "{:.80}", text);
        assert!(checked.problems.len() <= 5500, "{:.80}", text);
    }
}

const WHOLE: &str = "object: x.o
kaddrs: [jiffies]
globals: {kaddr_narrow: 0x10}
programs: {probe: {optional: true}}
maps: {array: {max_entries: 5}, queue: }
x-a: &a [{name: uint}]
metrics:
  counters:
    - name: hash_8
      help: 'quoted'
      labels:
        - {name: a, size: 4, padding: 0, decoders: *a}
        - name: b
          size: 4
          decoders:
            - name: static_map
              static_map: {1: one, 0x2: \"two\"}
  histograms:
    - {name: hash_4, help: h, bucket_type: exp2, bucket_max: 5, labels: [{name: a, size: 4, decoders: *a}]}
  gauges:
    - <<: {name: array, help: h, scale: 1e-3}
";

proptest::proptest! {
    /// Whatever is cut out or put in, there is an answer, and its places are in the text.
    #[test]
    fn broken_texts_have_answers(start in 0..WHOLE.len(), length in 0..40usize, put in "[-{}\\[\\]:,&*a<>|'\"!~0 \n\t]{0,4}") {
        let end = (start + length).min(WHOLE.len());
        let text = format!("{}{put}{}", &WHOLE[..start], &WHOLE[end..]);
        let checked = checked(&text);
        for problem in &checked.problems {
            let lines = text.split('\n').count();
            proptest::prop_assert!(problem.place.position.is_none_or(|position| position.line <= lines + 1), "{problem}\n{text}");
        }
        let told = checked.problems.iter().any(Problem::is_error);
        proptest::prop_assert!(checked.spec.is_some() || told, "lost without a word:\n{text}");
    }
}
