//! Histogram arithmetic: the reference's, with nothing dropped.

use super::*;

/// `(bounds' cumulated counts, sum, count)` of slots without other labels.
#[track_caller]
fn check_slots(kind: BucketKind, multiplier: f64, slots: &[(u64, u64)], buckets: &[(&str, u64)], sum: &str) {
    let keys: Vec<_> = slots.iter().map(|(slot, _)| slot.to_ne_bytes()).collect();
    let source = rows(8, &keys.iter().zip(slots).map(|(key, (_, n))| (&key[..], *n)).collect::<Vec<_>>());
    let metrics = vec![histogram("h", kind, multiplier, vec![])];
    let page = text(&scraper(vec![member("c", metrics, vec![("h", source)])]).scrape(&plain()));
    let found: Vec<_> =
        page.lines().filter(|line| line.starts_with("ebpf_exporter_h_")).map(str::to_owned).collect();
    let mut expected: Vec<_> =
        buckets.iter().map(|(le, count)| format!("ebpf_exporter_h_bucket{{le=\"{le}\"}} {count}")).collect();
    expected.push(format!("ebpf_exporter_h_sum {sum}"));
    expected.push(format!("ebpf_exporter_h_count {}", buckets.last().unwrap().1));
    assert_eq!(found, expected);
}

#[test]
fn the_references_vectors() {
    check_slots(
        BucketKind::Exp2 { min: 0, max: 3 },
        1.0,
        &[(0, 1), (1, 1), (2, 2), (3, 4), (4, 36)],
        &[("1", 1), ("2", 2), ("4", 4), ("8", 8), ("+Inf", 8)],
        "36",
    );
    check_slots(
        BucketKind::Exp2Zero { min: 0, max: 4 },
        1.0,
        &[(0, 1), (1, 1), (2, 1), (3, 2), (4, 4), (5, 36)],
        &[("0", 1), ("1", 2), ("2", 3), ("4", 5), ("8", 9), ("+Inf", 9)],
        "36",
    );
    check_slots(
        BucketKind::Linear { min: 0, max: 3 },
        50.0,
        &[(0, 2), (1, 1), (3, 5), (4, 700)],
        &[("0", 2), ("50", 3), ("100", 3), ("150", 8), ("+Inf", 8)],
        "35000",
    );
    check_slots(
        BucketKind::Fixed { keys: vec![100.0, 1000.0] },
        1e-6,
        &[(100, 1), (1000, 2), (1001, 5000)],
        &[("9.999999999999999e-05", 1), ("0.001", 3), ("+Inf", 3)],
        "0.005",
    );
}

#[test]
fn what_is_out_of_range_is_counted() {
    check_slots(
        BucketKind::Exp2 { min: 2, max: 4 },
        1.0,
        &[(0, 9), (2, 1), (6, 7)],
        &[("4", 10), ("8", 10), ("16", 10), ("+Inf", 17)],
        "0",
    );
    check_slots(
        BucketKind::Fixed { keys: vec![10.0, 20.0] },
        1.0,
        &[(5, 1), (15, 2), (21, 99), (22, 4)],
        &[("10", 1), ("20", 3), ("+Inf", 7)],
        "99",
    );
}

#[test]
fn a_slot_that_is_no_number_costs_its_row_alone() {
    let mut metric = histogram("h", BucketKind::Linear { min: 0, max: 1 }, 1.0, vec![]);
    if let MetricKind::Histogram(histogram) = &mut metric.kind {
        histogram.slots = Slots::Key(label("bucket", 0, 8, &[("string", &[])]));
    }
    let source = rows(8, &[(b"0\0\0\0\0\0\0\0", 5), (b"many\0\0\0\0", 6)]);
    let scraper = scraper(vec![member("c", vec![metric], vec![("h", source)])]);
    check(&scraper, "ebpf_exporter_h_count", &["ebpf_exporter_h_count 5"]);
    check(
        &scraper,
        "ebpf_exporter_metric_decode_errors_total",
        &[r#"ebpf_exporter_metric_decode_errors_total{config="c",metric="h",reason="not_a_number"} 2"#],
    );
}

#[test]
fn per_cpu_histograms_are_summed() {
    let shape = Shape { key_size: 8, value_size: 8, lanes: 3, lane_stride: 8 };
    let value: Vec<u8> = [1u64, 2, 3].iter().flat_map(|lane| lane.to_ne_bytes()).collect();
    let source = Arc::new(Literal::new(shape, [(&1u64.to_ne_bytes()[..], &value[..])]));
    let metrics = vec![histogram("h", BucketKind::Linear { min: 0, max: 1 }, 1.0, vec![])];
    check(
        &scraper(vec![member("c", metrics, vec![("h", source)])]),
        "ebpf_exporter_h_bucket",
        &[
            r#"ebpf_exporter_h_bucket{le="+Inf"} 6"#,
            r#"ebpf_exporter_h_bucket{le="0"} 0"#,
            r#"ebpf_exporter_h_bucket{le="1"} 6"#,
        ],
    );
}

#[test]
fn a_count_does_not_fall_when_a_slot_is_evicted() {
    let metrics = vec![histogram("h", BucketKind::Linear { min: 0, max: 2 }, 1.0, vec![])];
    let keys = [0u64, 1, 3].map(u64::to_ne_bytes);
    let source = rows(8, &[(&keys[0], 4), (&keys[1], 5), (&keys[2], 90)]);
    let scraper = scraper(vec![member("c", metrics, vec![("h", source.clone())])]);
    check(&scraper, "ebpf_exporter_h_count", &["ebpf_exporter_h_count 9"]);
    put(&source, &[(&keys[1], 6)]);
    check(&scraper, "ebpf_exporter_h_count", &["ebpf_exporter_h_count 10"]);
    check(&scraper, "ebpf_exporter_h_sum", &["ebpf_exporter_h_sum 90"]);
}
