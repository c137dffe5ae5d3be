//! Metrics that are there before anything happened.

use super::*;
use crate::snapshot::ReadError;
use crate::snapshot::fixture::Failing;

fn operation(offset: usize) -> LabelSpec {
    label("operation", offset, 4, &[("uint", &[]), ("static_map", &[("0", "read"), ("1", "write")])])
}

fn at_zero(metric: MetricSpec) -> MetricSpec {
    MetricSpec { zero: true, ..metric }
}

fn key(one: u32, other: u32) -> Vec<u8> {
    [one.to_ne_bytes(), other.to_ne_bytes()].concat()
}

fn one(metric: MetricSpec, source: Arc<dyn Source>) -> Scraper {
    let map = metric.map.clone();
    scraper(vec![member("c", vec![metric], vec![(&map, source)])])
}

#[test]
fn every_combination_is_there_from_the_start() {
    let metric = counter("m_total", 8, vec![operation(0), label("failed", 4, 4, &[("bool", &[])])]);
    let source = rows(8, &[]);
    let scraper = one(at_zero(metric), source.clone());
    let series = |failed: &str, operation: &str, value: u64| {
        format!("ebpf_exporter_m_total{{failed=\"{failed}\",operation=\"{operation}\"}} {value}")
    };
    let mut expected = vec![
        series("false", "read", 0),
        series("false", "write", 0),
        series("true", "read", 0),
        series("true", "write", 0),
    ];
    let page = text(&scraper.scrape(&plain()));
    assert_eq!(lines(&page, "ebpf_exporter_m_total"), expected);
    assert!(page.contains("# TYPE ebpf_exporter_m_total counter\n"), "{page}");
    // What happens counts in the series that was there; what is not known gets one of its own.
    put(&source, &[(&key(1, 7), 5), (&key(9, 0), 2)]);
    expected[3] = series("true", "write", 5);
    expected.insert(1, series("false", "unknown:9", 2));
    assert_eq!(lines(&text(&scraper.scrape(&plain())), "ebpf_exporter_m_total"), expected);
}

#[test]
fn without_zero_nothing_is_made_up() {
    let metric = counter("m_total", 4, vec![operation(0)]);
    check(&one(metric, rows(4, &[])), "ebpf_exporter_m_total", &[]);
}

#[test]
fn a_metric_without_labels_is_there_too() {
    check(
        &one(at_zero(counter("m_total", 4, vec![])), rows(4, &[])),
        "ebpf_exporter_m_total",
        &["ebpf_exporter_m_total 0"],
    );
    let scaled = MetricSpec { scale: 0.5, ..at_zero(metric("m", MetricKind::Gauge, 4, vec![])) };
    let source = rows(4, &[]);
    let scraper = one(scaled, source.clone());
    check(&scraper, "ebpf_exporter_m ", &["ebpf_exporter_m 0"]);
    put(&source, &[(&[0; 4], 3)]);
    check(&scraper, "ebpf_exporter_m ", &["ebpf_exporter_m 1.5"]);
    put(&source, &[]);
    check(&scraper, "ebpf_exporter_m ", &["ebpf_exporter_m 0"]);
}

#[test]
fn a_counter_that_began_at_zero_does_not_fall_back_to_it() {
    let metric = at_zero(counter("m_total", 4, vec![operation(0)]));
    let source = rows(4, &[(&[0; 4], 7)]);
    let scraper = one(metric, source.clone());
    let expected =
        [r#"ebpf_exporter_m_total{operation="read"} 7"#, r#"ebpf_exporter_m_total{operation="write"} 0"#];
    check(&scraper, "ebpf_exporter_m_total", &expected);
    // The key was evicted: its series stays where it was, and goes on from there.
    put(&source, &[]);
    check(&scraper, "ebpf_exporter_m_total", &expected);
    put(&source, &[(&[0; 4], 2)]);
    check(
        &scraper,
        r#"ebpf_exporter_m_total{operation="read"}"#,
        &[r#"ebpf_exporter_m_total{operation="read"} 9"#],
    );
}

#[test]
fn histograms_are_there_with_empty_buckets() {
    let metric = at_zero(histogram("h", BucketKind::Linear { min: 0, max: 1 }, 1.0, vec![operation(0)]));
    let key = |operation: u32, slot: u64| [&operation.to_ne_bytes()[..], &slot.to_ne_bytes()].concat();
    let source = rows(12, &[]);
    let scraper = one(metric, source.clone());
    let expected = |write: u64| {
        let series = |operation: &str, count: u64| {
            vec![
                format!(r#"ebpf_exporter_h_bucket{{operation="{operation}",le="+Inf"}} {count}"#),
                format!(r#"ebpf_exporter_h_bucket{{operation="{operation}",le="0"}} 0"#),
                format!(r#"ebpf_exporter_h_bucket{{operation="{operation}",le="1"}} {count}"#),
                format!(r#"ebpf_exporter_h_count{{operation="{operation}"}} {count}"#),
                format!(r#"ebpf_exporter_h_sum{{operation="{operation}"}} 0"#),
            ]
        };
        let mut all = [series("read", 0), series("write", write)].concat();
        all.sort();
        all
    };
    assert_eq!(lines(&text(&scraper.scrape(&plain())), "ebpf_exporter_h_"), expected(0));
    put(&source, &[(&key(1, 1), 4)]);
    assert_eq!(lines(&text(&scraper.scrape(&plain())), "ebpf_exporter_h_"), expected(4));
}

#[test]
fn a_family_that_could_not_be_read_is_left_out_all_the_same() {
    let metric = at_zero(counter("m_total", 4, vec![operation(0)]));
    check(&one(metric, Arc::new(Failing(ReadError::Late))), "ebpf_exporter_m_total", &[]);
}

#[test]
fn one_of_two_configs_may_begin_at_zero() {
    let metric = || counter("m_total", 4, vec![operation(0)]);
    let (first, second) = (rows(4, &[]), rows(4, &[(&[0; 4], 3)]));
    let scraper = scraper(vec![
        member("a", vec![at_zero(metric())], vec![("m_total", first)]),
        member("b", vec![metric()], vec![("m_total", second.clone())]),
    ]);
    let expected =
        [r#"ebpf_exporter_m_total{operation="read"} 3"#, r#"ebpf_exporter_m_total{operation="write"} 0"#];
    check(&scraper, "ebpf_exporter_m_total", &expected);
    put(&second, &[]);
    check(&scraper, "ebpf_exporter_m_total", &expected);
}
