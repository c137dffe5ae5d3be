use bpftally::config::settle_families;
use bpftally::spec::Spec;

use super::*;

const COUNTER: &str =
    "{name: a, map: hash_4, help: h, labels: [{name: l, size: 4, decoders: [{name: uint}]}]}";

/// Settles configs of these names and lists of `metrics`; says what is left, and what was refused.
#[track_caller]
fn check(configs: &[(&str, &str)], left: &[&str], refused: &[&str]) {
    let mut specs: Vec<Spec> = configs
        .iter()
        .map(|(name, metrics)| {
            let checked = checked_as(name, &format!("metrics: {metrics}"));
            assert!(checked.problems.is_empty(), "{:#?}", checked.problems);
            checked.spec.unwrap()
        })
        .collect();
    let problems = settle_families(&mut specs);
    let mut shown = Vec::new();
    for spec in &specs {
        for metric in &spec.view.metrics {
            shown.push(format!("{}:{}", spec.view.name, metric.name));
        }
    }
    assert_eq!(shown, left, "{problems:#?}");
    let told: Vec<String> = problems
        .iter()
        .map(|problem| {
            assert_eq!(problem.is_error(), problem.code != "own-metric-hidden");
            format!("{} {}", problem.place.config.as_deref().unwrap_or_default(), problem.code)
        })
        .collect();
    assert_eq!(told, refused, "{problems:#?}");
}

fn counters(metrics: &str) -> String {
    format!("{{counters: [{metrics}]}}")
}

fn histogram(name: &str, more: &str) -> String {
    format!(
        "{{histograms: [{{name: {name}, map: hash_4, help: h, bucket_type: exp2, bucket_max: 5, {more}
          labels: [{{name: l, size: 4, decoders: [{{name: uint}}]}}]}}]}}"
    )
}

#[test]
fn equal_shapes_share_a_family() {
    let counter = counters(COUNTER);
    check(&[("one", &counter), ("two", &counter)], &["one:a", "two:a"], &[]);
    check(&[("one", &histogram("a", "")), ("two", &histogram("a", ""))], &["one:a", "two:a"], &[]);
    // Two maps of one config too.
    let two = counters("{name: a, map: array, help: h}, {name: a, map: hash_4, help: h}");
    check(&[("one", &two)], &["one:a", "one:a"], &[]);
}

#[test]
fn the_order_of_labels_in_the_key_does_not_matter() {
    let label = |name: &str| format!("{{name: {name}, size: 4, decoders: [{{name: uint}}]}}");
    let one =
        counters(&format!("{{name: a, map: hash_8, help: h, labels: [{}, {}]}}", label("x"), label("y")));
    let two =
        counters(&format!("{{name: a, map: hash_8, help: h, labels: [{}, {}]}}", label("y"), label("x")));
    check(&[("one", &one), ("two", &two)], &["one:a", "two:a"], &[]);
}

#[test]
fn the_later_name_loses_whatever_the_order() {
    let (counter, other) = (counters(COUNTER), counters("{name: a, map: array, help: h}"));
    check(&[("one", &counter), ("two", &other)], &["one:a"], &["two metric-conflict"]);
    check(&[("two", &other), ("one", &counter)], &["one:a"], &["two metric-conflict"]);
}

#[test]
fn every_difference_of_shape_counts() {
    let counter = counters(COUNTER);
    for other in [
        counters(
            "{name: a, map: hash_4, help: other, labels: [{name: l, size: 4, decoders: [{name: uint}]}]}",
        ),
        counters("{name: a, map: hash_4, help: h, labels: [{name: m, size: 4, decoders: [{name: uint}]}]}"),
        counters("{name: a, map: array, help: h}"),
        format!("{{gauges: [{COUNTER}]}}"),
        histogram("a", ""),
    ] {
        check(&[("one", &counter), ("two", &other)], &["one:a"], &["two metric-conflict"]);
    }
    for more in ["bucket_multiplier: 2,", "bucket_min: 1,"] {
        check(
            &[("one", &histogram("a", "")), ("two", &histogram("a", more))],
            &["one:a"],
            &["two metric-conflict"],
        );
    }
}

#[test]
fn gauges_never_share() {
    let gauge = format!("{{gauges: [{COUNTER}]}}");
    check(&[("one", &gauge), ("two", &gauge)], &["one:a"], &["two metric-conflict"]);
}

#[test]
fn one_map_is_not_counted_twice() {
    let twice = counters("{name: a, map: array, help: h}, {name: a, map: array, help: h}");
    check(&[("one", &twice)], &["one:a"], &["one duplicate-metric"]);
}

#[test]
fn names_that_histograms_write_are_taken() {
    for suffix in ["bucket", "sum", "count"] {
        let counter = counters(&format!("{{name: a_{suffix}, map: array, help: h}}"));
        check(&[("one", &histogram("a", "")), ("two", &counter)], &["one:a"], &["two metric-collision"]);
        check(
            &[("one", &counter), ("two", &histogram("a", ""))],
            &[&format!("one:a_{suffix}")],
            &["two metric-collision"],
        );
    }
    check(
        &[("one", &histogram("a", "")), ("two", &histogram("a_sum", ""))],
        &["one:a"],
        &["two metric-collision"],
    );
    check(&[("one", &histogram("a_x", "")), ("two", &histogram("a", ""))], &["one:a_x", "two:a"], &[]);
}

#[test]
fn the_exporters_own_metrics_are_reserved() {
    let counter = counters("{name: build_info, map: array, help: h}, {name: ok, map: array, help: h}");
    check(&[("one", &counter)], &["one:ok"], &["one reserved-metric"]);
    // Names that are new may be those of a config that was right before.
    let counter = counters("{name: events_total, map: array, help: h}");
    check(&[("one", &counter)], &["one:events_total"], &["one own-metric-hidden"]);
    let histogram = histogram("map_entries", "");
    check(&[("one", &histogram)], &["one:map_entries"], &["one own-metric-hidden"]);
}

#[test]
fn both_places_are_named() {
    let mut specs = vec![
        checked_as("one", "metrics: {counters: [{name: a, map: array, help: h}]}").spec.unwrap(),
        checked_as("two", "metrics:\n  gauges: [{name: a, map: array, help: h}]").spec.unwrap(),
    ];
    let problems = settle_families(&mut specs);
    assert_eq!(
        problems[0].to_string(),
        "/configs/two.yaml:2:19: error[metric-conflict]: metrics.gauges[0]: `ebpf_exporter_a` differs from a metric \
         of the same name in its type; found the first is in the config `one` (/configs/one.yaml:1:29); make both \
         alike, or rename one of them"
    );
}
