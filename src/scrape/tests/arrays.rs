//! Histograms in arrays, bit-fields, and keys of which labels show a part.

use super::*;
use crate::snapshot::{Bits, ValueKind};
use crate::spec::SlotArray;

/// A value: four slots of 4 bytes, the sum and the count of 8 each.
fn value(slots: [u32; 4], sum: i64, count: u64) -> Vec<u8> {
    let slots = slots.iter().flat_map(|slot| slot.to_ne_bytes());
    slots.chain(sum.to_ne_bytes()).chain(count.to_ne_bytes()).collect()
}

const SUM: ValueSpec = ValueSpec::unsigned(16, 8);
const COUNT: ValueSpec = ValueSpec::unsigned(24, 8);

fn array(
    kind: BucketKind,
    sum: Option<ValueSpec>,
    count: Option<ValueSpec>,
    labels: Vec<LabelSpec>,
) -> MetricSpec {
    let slots = Slots::Array(SlotArray { length: 4, sum, count, by_bound: false });
    let kind = MetricKind::Histogram(Histogram { buckets: Buckets { kind, multiplier: 0.5 }, slots });
    MetricSpec { value: ValueSpec::unsigned(0, 4), ..metric("h", kind, 4, labels) }
}

fn source(lanes: usize, entries: &[(u32, Vec<u8>)]) -> Arc<Literal> {
    let shape = Shape { key_size: 4, value_size: 32, lanes, lane_stride: 32 };
    let source = Literal::new(shape, []);
    replace(&source, entries);
    Arc::new(source)
}

fn replace(source: &Literal, entries: &[(u32, Vec<u8>)]) {
    let keys: Vec<_> = entries.iter().map(|(key, _)| key.to_ne_bytes()).collect();
    source.replace(keys.iter().zip(entries).map(|(key, (_, value))| (&key[..], value.as_slice())));
}

const LOG2: BucketKind = BucketKind::Log2 { min: 0, max: 3 };

fn one(metric: MetricSpec, source: &Arc<Literal>) -> Scraper {
    scraper(vec![member("c", vec![metric], vec![("h", source.clone())])])
}

#[track_caller]
fn check_histogram(scraper: &Scraper, expected: &[&str]) {
    let page = text(&scraper.scrape(&plain()));
    let found: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("ebpf_exporter_h_")).collect();
    assert_eq!(found, expected, "{page}");
}

#[test]
fn an_entry_is_a_histogram() {
    let source = source(1, &[(0, value([1, 2, 0, 4], 70, 9))]);
    check_histogram(
        &one(array(LOG2, Some(SUM), Some(COUNT), vec![]), &source),
        // Two observations were in no slot.
        &[
            r#"bucket{le="0.5"} 1"#,
            r#"bucket{le="1.5"} 3"#,
            r#"bucket{le="3.5"} 3"#,
            r#"bucket{le="+Inf"} 9"#,
            "sum 35",
            "count 9",
        ],
    );
    check_histogram(
        &one(array(BucketKind::Exp2 { min: 0, max: 3 }, None, None, vec![]), &source),
        &[
            r#"bucket{le="0.5"} 1"#,
            r#"bucket{le="1"} 3"#,
            r#"bucket{le="2"} 3"#,
            r#"bucket{le="4"} 7"#,
            r#"bucket{le="+Inf"} 7"#,
            "sum NaN",
            "count 7",
        ],
    );
    check_histogram(
        &one(array(BucketKind::Fixed { keys: vec![1.0, 10.0, 100.0] }, Some(SUM), None, vec![]), &source),
        &[
            r#"bucket{le="0.5"} 1"#,
            r#"bucket{le="5"} 3"#,
            r#"bucket{le="50"} 3"#,
            r#"bucket{le="+Inf"} 7"#,
            "sum 35",
            "count 7",
        ],
    );
}

#[test]
fn a_histogram_without_observations_is_there() {
    let source = source(1, &[(0, value([0; 4], 0, 0))]);
    let scraper = one(array(LOG2, Some(SUM), None, vec![]), &source);
    check(&scraper, "ebpf_exporter_h_count", &["ebpf_exporter_h_count 0"]);
    check(&scraper, "ebpf_exporter_h_sum", &["ebpf_exporter_h_sum 0"]);
}

#[test]
fn cpus_are_summed_or_told_apart() {
    let lanes = [value([1, 0, 0, 2], 10, 3), value([0, 5, 0, 0], 20, 5)].concat();
    let source = source(2, &[(0, lanes)]);
    check(
        &one(array(LOG2, Some(SUM), Some(COUNT), vec![]), &source),
        "ebpf_exporter_h_",
        &[
            r#"ebpf_exporter_h_bucket{le="+Inf"} 8"#,
            r#"ebpf_exporter_h_bucket{le="0.5"} 1"#,
            r#"ebpf_exporter_h_bucket{le="1.5"} 6"#,
            r#"ebpf_exporter_h_bucket{le="3.5"} 6"#,
            "ebpf_exporter_h_count 8",
            "ebpf_exporter_h_sum 15",
        ],
    );
    let split =
        MetricSpec { reduce: Reduce::Split, ..array(LOG2, Some(SUM), Some(COUNT), vec![cpu_label()]) };
    let scraper = one(split, &source);
    check(
        &scraper,
        "ebpf_exporter_h_count",
        &[r#"ebpf_exporter_h_count{cpu="0"} 3"#, r#"ebpf_exporter_h_count{cpu="1"} 5"#],
    );
    check(
        &scraper,
        "ebpf_exporter_h_sum",
        &[r#"ebpf_exporter_h_sum{cpu="0"} 5"#, r#"ebpf_exporter_h_sum{cpu="1"} 10"#],
    );
}

#[test]
fn nothing_of_an_array_falls_when_its_entry_goes() {
    let labels = || vec![uint("a", 0, 1)];
    let source = source(1, &[(1, value([1, 0, 0, 0], 4, 1)), (257, value([0, 3, 0, 0], 6, 5))]);
    let scraper = one(array(LOG2, Some(SUM), Some(COUNT), labels()), &source);
    check(&scraper, "ebpf_exporter_h_count", &[r#"ebpf_exporter_h_count{a="1"} 6"#]);
    replace(&source, &[(1, value([2, 0, 0, 0], 8, 2))]);
    check(
        &scraper,
        "ebpf_exporter_h_",
        &[
            r#"ebpf_exporter_h_bucket{a="1",le="+Inf"} 7"#,
            r#"ebpf_exporter_h_bucket{a="1",le="0.5"} 2"#,
            r#"ebpf_exporter_h_bucket{a="1",le="1.5"} 5"#,
            r#"ebpf_exporter_h_bucket{a="1",le="3.5"} 5"#,
            r#"ebpf_exporter_h_count{a="1"} 7"#,
            r#"ebpf_exporter_h_sum{a="1"} 7"#,
        ],
    );
    // Made again from nothing.
    replace(&source, &[(1, value([0, 0, 1, 0], 3, 1))]);
    check(&scraper, "ebpf_exporter_h_count", &[r#"ebpf_exporter_h_count{a="1"} 8"#]);
    check(&scraper, "ebpf_exporter_h_sum", &[r#"ebpf_exporter_h_sum{a="1"} 8.5"#]);
}

#[test]
fn a_signed_sum_stays_signed() {
    let source = source(1, &[(0, value([1, 0, 0, 0], -70, 1))]);
    let sum = ValueSpec::signed(16, 8);
    check(
        &one(array(LOG2, Some(sum), None, vec![]), &source),
        "ebpf_exporter_h_sum",
        &["ebpf_exporter_h_sum -35"],
    );
}

#[test]
fn an_array_outside_of_the_value_costs_its_metric() {
    let source = source(1, &[(0, value([1, 0, 0, 0], 4, 1))]);
    for sum in [ValueSpec::unsigned(25, 8), ValueSpec { offset: 30, width: 4, kind: ValueKind::Float }] {
        check(&one(array(LOG2, Some(sum), None, vec![]), &source), "ebpf_exporter_h_", &[]);
    }
}

/// Bits 4 to 11 of a key of 4 bytes.
fn bits(name: &str, signed: bool) -> LabelSpec {
    let bits = Bits { shift: 4, width: 8, signed };
    let source = LabelSource::Bits { offset: 0, size: 2, bits };
    let decoder = if signed { "int" } else { "uint" };
    LabelSpec {
        name: name.to_owned(),
        source,
        chain: chain(&[(decoder, &[])], 8),
        path: String::new(),
        position: None,
    }
}

#[test]
fn labels_are_bits_of_the_key() {
    let keys = [0x0fe0u32, 0x0010].map(u32::to_ne_bytes);
    let source = rows(4, &[(&keys[0], 5), (&keys[1], 6)]);
    let labels = vec![bits("a", false), bits("b", true)];
    let scraper = scraper(vec![member("c", vec![counter("m_total", 4, labels)], vec![("m_total", source)])]);
    check(
        &scraper,
        "ebpf_exporter_m_total",
        &[r#"ebpf_exporter_m_total{a="1",b="1"} 6"#, r#"ebpf_exporter_m_total{a="254",b="-2"} 5"#],
    );
}

#[test]
fn what_no_label_shows_is_summed_over() {
    // The same bits 4 to 11, but others around them.
    let keys = [0x0fe0u32, 0x0fe1, 0xffe0, 0x1_0fe0].map(u32::to_ne_bytes);
    let source = rows(4, &[(&keys[0], 1), (&keys[1], 20), (&keys[2], 300), (&keys[3], 4000)]);
    let metrics = vec![counter("m_total", 4, vec![bits("a", false)])];
    let scraper = scraper(vec![member("c", metrics, vec![("m_total", source)])]);
    check(&scraper, "ebpf_exporter_m_total", &[r#"ebpf_exporter_m_total{a="254"} 4321"#]);
}

#[test]
fn a_slot_is_bits_of_the_key() {
    let keys = [0x0010u32, 0x0021].map(u32::to_ne_bytes);
    let source = rows(4, &[(&keys[0], 5), (&keys[1], 6)]);
    let kind = BucketKind::Linear { min: 0, max: 3 };
    let mut metric = histogram("h", kind, 1.0, vec![]);
    metric.key_size = 4;
    if let MetricKind::Histogram(histogram) = &mut metric.kind {
        histogram.slots = Slots::Key(bits("slot", false));
    }
    let scraper = scraper(vec![member("c", vec![metric], vec![("h", source)])]);
    check(
        &scraper,
        "ebpf_exporter_h_bucket",
        &[
            r#"ebpf_exporter_h_bucket{le="+Inf"} 11"#,
            r#"ebpf_exporter_h_bucket{le="0"} 0"#,
            r#"ebpf_exporter_h_bucket{le="1"} 5"#,
            r#"ebpf_exporter_h_bucket{le="2"} 11"#,
            r#"ebpf_exporter_h_bucket{le="3"} 11"#,
        ],
    );
}
