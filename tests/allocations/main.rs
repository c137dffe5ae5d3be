//! Nothing is allocated for a series: in the steady state a scrape of ten times the rows
//! allocates ten times the chunks of its page, and nothing else more often.
//!
//! A test binary of its own, because its allocator counts.

// Helpers of tests may stop where a program must not.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bpftally::decode::{Canonical, Chain, Params};
use bpftally::events::{Tally, TallySink};
use bpftally::host::{Host, Roots};
use bpftally::page::Coding;
use bpftally::problem::Place;
use bpftally::scrape::{Generation, Live, Member, ScrapeOptions, Scraper, Settings};
use bpftally::series::{BucketKind, Buckets};
use bpftally::snapshot::fixture::{Literal, LiteralPrograms};
use bpftally::snapshot::{Losses, NamedSource, Records, Reduce, Shape, Sink, Source, ValueSpec, View};
use bpftally::spec::{
    Amount, EventSpec, Histogram, KeyPart, LabelSource, LabelSpec, MetricKind, MetricSpec, SeriesLimit,
    SlotArray, Slots, ViewSpec,
};

/// Bytes of a chunk of the page.
const CHUNK: usize = 64 * 1024;
/// What a snapshot and a list of chunks allocate more often when they grow to ten times the size.
const GROWTH: u64 = 32;

const FEW: u32 = 1_000;
const MANY: u32 = 10_000;

fn label(name: &str, offset: usize, size: usize, decoders: &[(&str, Params)]) -> LabelSpec {
    let steps: Vec<_> = decoders.iter().map(|(name, params)| ((*name).to_owned(), params.clone())).collect();
    let host = Arc::new(Host::new(Roots::default()));
    let chain = Arc::new(Chain::build(&steps, size, &host).unwrap());
    let source = LabelSource::Key { offset, size };
    LabelSpec { name: name.to_owned(), source, chain, path: String::new(), position: None }
}

fn uint(name: &str, offset: usize, size: usize) -> LabelSpec {
    label(name, offset, size, &[("uint", Params::default())])
}

fn labels() -> Vec<LabelSpec> {
    vec![uint("a", 0, 4), label("comm", 4, 16, &[("string", Params::default())])]
}

fn metric(kind: MetricKind, key_size: usize, labels: Vec<LabelSpec>) -> MetricSpec {
    MetricSpec {
        family: "m_total".to_owned(),
        name: "m_total".to_owned(),
        help: "Help".to_owned(),
        kind,
        map: "m".to_owned(),
        area: None,
        events: None,
        key_size,
        labels,
        value: ValueSpec::unsigned(0, 8),
        scale: 1.0,
        reduce: Reduce::Sum,
        zero: false,
        limit: SeriesLimit::default(),
        place: Place::default(),
    }
}

fn member(config: &str, metric: MetricSpec, source: Arc<Literal>) -> Member {
    Member {
        view_spec: ViewSpec {
            name: config.to_owned(),
            metrics: vec![metric],
            expiries: Vec::new(),
            losses: Vec::new(),
            spans: Vec::new(),
        },
        view: View {
            config: config.to_owned(),
            sources: vec![NamedSource { map: "m".to_owned(), source: source as Arc<dyn Source> }],
            streams: Vec::new(),
            programs: Arc::new(LiteralPrograms::default()),
            cgroups: Arc::default(),
        },
    }
}

/// Rows with a key `{u32 a; char comm[16]}` and a value on each lane.
fn source(rows: u32, lanes: usize) -> Arc<Literal> {
    let shape = Shape { key_size: 20, value_size: 8, lanes, lane_stride: 8 };
    let row = |row: u32| {
        let mut key = row.to_ne_bytes().to_vec();
        key.extend_from_slice(format!("{:\0<16}", format!("worker-{}", row % 1000)).as_bytes());
        (key, u64::from(row).to_ne_bytes().repeat(lanes))
    };
    let rows: Vec<_> = (0..rows).map(row).collect();
    Arc::new(Literal::new(shape, rows.iter().map(|(key, value)| (&key[..], &value[..]))))
}

/// Rows with a key `{u32 a; u64 bucket}`, eight to a histogram.
fn slots(rows: u32) -> Arc<Literal> {
    let shape = Shape { key_size: 12, value_size: 8, lanes: 1, lane_stride: 8 };
    let row = |row: u32| {
        let key = [&(row / 8).to_ne_bytes()[..], &u64::from(row % 8).to_ne_bytes()].concat();
        (key, u64::from(row).to_ne_bytes())
    };
    let rows: Vec<_> = (0..rows).map(row).collect();
    Arc::new(Literal::new(shape, rows.iter().map(|(key, value)| (&key[..], &value[..]))))
}

/// Rows as those of `source`, whose text is not UTF-8.
fn garbled(rows: u32) -> Arc<Literal> {
    let shape = Shape { key_size: 20, value_size: 8, lanes: 1, lane_stride: 8 };
    let row = |row: u32| ([&row.to_ne_bytes()[..], &[0xff; 16]].concat(), u64::from(row).to_ne_bytes());
    let rows: Vec<_> = (0..rows).map(row).collect();
    Arc::new(Literal::new(shape, rows.iter().map(|(key, value)| (&key[..], &value[..]))))
}

/// Allocations of one scrape in the steady state, and bytes of its page.
fn allocations(members: Vec<Member>) -> (u64, usize) {
    let live = Arc::new(Live::new(Generation::plan(members, Vec::new())));
    let scraper = Scraper::new(live, Settings { skip_cache_size: 100, ..Settings::default() });
    let scrape = || {
        let deadline = Instant::now() + Duration::from_secs(60);
        let page = scraper.scrape(&ScrapeOptions { deadline, coding: Coding::Identity });
        page.chunks.iter().map(|chunk| chunk.len()).sum::<usize>()
    };
    for _ in 0..3 {
        scrape();
    }
    let mut bytes = 0;
    let counted = allocation_counter::measure(|| bytes = scrape());
    (counted.count_total, bytes)
}

#[track_caller]
fn check(members: impl Fn(u32) -> Vec<Member>) {
    check_pages(5, members);
}

/// The same where the page of ten times the rows is so many times as long.
#[track_caller]
fn check_pages(times: usize, members: impl Fn(u32) -> Vec<Member>) {
    let ((few, small), (many, large)) = (allocations(members(FEW)), allocations(members(MANY)));
    assert!(large > times * small, "{small} bytes, then {large}");
    // A chunk is a buffer and what counts its owners.
    let chunks = 2 * (large / CHUNK + 1) as u64;
    println!("{few} allocations for {FEW} rows, {many} for {MANY}, of which {chunks} are of the page");
    assert!(many <= few + chunks + GROWTH, "{few} for {FEW} rows, {many} for {MANY}, {chunks} of the page");
}

#[test]
fn rows_that_stream_into_the_page() {
    check(|rows| vec![member("one", metric(MetricKind::Counter, 20, labels()), source(rows, 1))]);
}

#[test]
fn rows_of_each_cpu() {
    check(|rows| {
        let chain = uint("cpu", 0, 2);
        let cpu = LabelSpec { source: LabelSource::Cpu, ..chain };
        let labels = [labels(), vec![cpu]].concat();
        let metric = MetricSpec { reduce: Reduce::Split, ..metric(MetricKind::Counter, 20, labels) };
        vec![member("one", metric, source(rows, 4))]
    });
}

#[test]
fn counters_that_two_configs_share() {
    check(|rows| {
        let metric = || metric(MetricKind::Counter, 20, labels());
        vec![member("one", metric(), source(rows, 1)), member("two", metric(), source(rows / 2, 1))]
    });
}

#[test]
fn counters_whose_keys_merge() {
    check(|rows| {
        let regexps = vec!["^worker-(.*)$".to_owned()];
        let regexp = Params { regexps, ..Params::default() };
        let comm = label("comm", 4, 16, &[("string", Params::default()), ("regexp", regexp)]);
        let metric = metric(MetricKind::Counter, 20, vec![uint("a", 0, 4), comm]);
        vec![member("one", metric, source(rows, 1))]
    });
}

#[test]
fn gauges_whose_keys_merge() {
    check(|rows| {
        let regexps = vec!["^worker-(.*)$".to_owned()];
        let regexp = Params { regexps, ..Params::default() };
        let comm = label("comm", 4, 16, &[("string", Params::default()), ("regexp", regexp)]);
        let metric = metric(MetricKind::Gauge, 20, vec![uint("a", 0, 4), comm]);
        vec![member("one", metric, source(rows, 1))]
    });
}

#[test]
fn histograms() {
    check(|rows| {
        let buckets = Buckets { kind: BucketKind::Exp2 { min: 0, max: 6 }, multiplier: 1.0 };
        let histogram = Histogram { buckets, slots: Slots::Key(uint("bucket", 4, 8)) };
        let metric = metric(MetricKind::Histogram(histogram), 12, vec![uint("a", 0, 4)]);
        vec![member("one", metric, slots(rows))]
    });
}

#[test]
fn cpus_that_are_summed() {
    check(|rows| vec![member("one", metric(MetricKind::Counter, 20, labels()), source(rows, 16))]);
}

#[test]
fn histograms_in_arrays() {
    check(|rows| {
        let shape = Shape { key_size: 4, value_size: 64, lanes: 1, lane_stride: 64 };
        let keys: Vec<_> = (0..rows).map(u32::to_ne_bytes).collect();
        let source = Literal::new(shape, keys.iter().map(|key| (&key[..], &[1; 64][..])));
        let slots =
            SlotArray { length: 7, sum: Some(ValueSpec::unsigned(56, 8)), count: None, by_bound: false };
        let buckets = Buckets { kind: BucketKind::Exp2 { min: 0, max: 5 }, multiplier: 1.0 };
        let kind = MetricKind::Histogram(Histogram { buckets, slots: Slots::Array(slots) });
        vec![member("one", metric(kind, 4, vec![uint("a", 0, 4)]), Arc::new(source))]
    });
}

/// Most rows are beyond the bound: left out, or folded into one series.
#[test]
fn rows_beyond_a_bound() {
    let other = vec!["other".to_owned(), String::new()];
    for other in [None, Some(other)] {
        for kind in [MetricKind::Counter, MetricKind::Gauge] {
            check_pages(0, |rows| {
                let limit =
                    SeriesLimit { max_series: Some(500), other: other.clone(), max_label_length: None };
                let metric = MetricSpec { limit, ..metric(kind.clone(), 20, labels()) };
                vec![member("one", metric, source(rows, 1))]
            });
        }
    }
}

#[test]
fn labels_that_are_cut() {
    check(|rows| {
        let limit = SeriesLimit { max_series: None, other: None, max_label_length: Some(8) };
        let metric = MetricSpec { limit, ..metric(MetricKind::Counter, 20, labels()) };
        vec![member("one", metric, source(rows, 1))]
    });
}

/// Nearly all rows are skipped, and many more than are remembered.
#[test]
fn rows_that_are_skipped() {
    check_pages(0, |rows| {
        let regexps = vec!["^worker-(7)$".to_owned()];
        let regexp = Params { regexps, ..Params::default() };
        let comm = label("comm", 4, 16, &[("string", Params::default()), ("regexp", regexp)]);
        let metric = metric(MetricKind::Counter, 20, vec![uint("a", 0, 4), comm]);
        vec![member("one", metric, source(rows, 1))]
    });
}

#[test]
fn text_that_is_not_utf8() {
    for kind in [MetricKind::Counter, MetricKind::Gauge] {
        check(|rows| vec![member("one", metric(kind.clone(), 20, labels()), garbled(rows))]);
    }
}

/// Names of 256 bytes as the DNS observer sends them, of which a third has a place of its own.
#[test]
fn a_million_events_leave_nothing_behind() {
    const NAMES: u32 = 3_000;
    let name = KeyPart::Text { offset: 0, size: 256, form: Canonical::DnsName };
    let spec = EventSpec {
        buffer: "events".to_owned(),
        conditions: Vec::new(),
        key: vec![name, KeyPart::Bytes { offset: 256, size: 4 }],
        most: Some(1_000),
        rest: true,
        amount: Amount::One,
        flush: None,
        meaning: String::new(),
    };
    let tally = Arc::new(Tally::new(&spec));
    let mut sink = TallySink::new(&spec, Arc::clone(&tally));
    let (mut records, mut losses) = (Records::new(), Losses::default());
    for number in 0..NAMES {
        let name = format!("\x0ahost-{number:05}\x07example\x03com");
        let mut record = name.into_bytes();
        record.resize(260, 0);
        records.push(&record);
    }
    let mut bring = |times: u32| {
        for _ in 0..times {
            sink.record(&records, Instant::now(), &mut losses);
            losses.settle(|loss, count| panic!("{count} are lost: {loss:?}"));
        }
    };
    bring(1);
    let counted = allocation_counter::measure(|| bring(1_000_000 / NAMES + 1));
    assert_eq!((counted.count_total, counted.bytes_current), (0, 0));
    let entries = tally.entries();
    assert_eq!(entries.len(), 1_001);
    assert_eq!(
        entries.values().map(|words| words[0]).sum::<u64>(),
        u64::from(NAMES * (1_000_000 / NAMES + 2))
    );
}
