//! Rendering, measured without a kernel: a literal source of 100,000 rows with three labels.
//!
//! Prints nanoseconds a row for the direct path, for the grouped path, and for histograms, and what
//! a page costs that has no rows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bpftally::decode::{Chain, Params};
use bpftally::host::{Host, Roots};
use bpftally::page::Coding;
use bpftally::problem::Place;
use bpftally::scrape::{Generation, Live, Member, ScrapeOptions, Scraper, Settings};
use bpftally::series::{BucketKind, Buckets};
use bpftally::snapshot::fixture::{Literal, LiteralPrograms};
use bpftally::snapshot::{NamedSource, Reduce, Shape, Source, ValueSpec, View};
use bpftally::spec::{
    Histogram, LabelSource, LabelSpec, MetricKind, MetricSpec, SeriesLimit, Slots, ViewSpec,
};

const ROWS: u32 = 100_000;
const SETS: u32 = 1_000;
const SLOTS: u64 = 28;

fn main() {
    let three = || vec![label("a", 0, 4, "uint"), label("b", 4, 4, "uint"), label("comm", 8, 16, "string")];
    let keys = (0..ROWS).map(|row| {
        let mut key = [row.wrapping_mul(2_654_435_761).to_ne_bytes(), (row % 64).to_ne_bytes()].concat();
        key.extend_from_slice(format!("worker-{:<9}", row % 1000).replace(' ', "\0").as_bytes());
        (key, u64::from(row) * 12_345)
    });
    let plain = source(24, keys.collect());
    let slots = (0..SETS).flat_map(|set| {
        (0..SLOTS).map(move |slot| {
            let mut key = [set.to_ne_bytes(), (set % 7).to_ne_bytes()].concat();
            key.extend_from_slice(&slot.to_ne_bytes());
            (key, slot * 10)
        })
    });
    let slots = source(16, slots.collect());

    let counter = || metric(MetricKind::Counter, 24, three());
    let buckets =
        Buckets { kind: BucketKind::Exp2 { min: 0, max: SLOTS.cast_signed() - 2 }, multiplier: 1e-6 };
    let slot = label("bucket", 8, 8, "uint");
    let device = vec![label("device", 0, 4, "uint"), label("operation", 4, 4, "uint")];
    let histogram = metric(MetricKind::Histogram(Histogram { buckets, slots: Slots::Key(slot) }), 16, device);
    let none = source(24, Vec::new());

    measure("empty", 1, vec![member("one", counter(), none.clone())]);
    measure("direct", ROWS.into(), vec![member("one", counter(), plain.clone())]);
    measure("grouped", ROWS.into(), vec![member("one", counter(), plain), member("two", counter(), none)]);
    measure("histogram", u64::from(SETS) * SLOTS, vec![member("one", histogram, slots)]);
}

fn measure(name: &str, rows: u64, members: Vec<Member>) {
    let live = Arc::new(Live::new(Generation::plan(members, Vec::new())));
    let scraper = Scraper::new(live, Settings::default());
    for coding in [Coding::Identity, Coding::Gzip] {
        let mut times: Vec<Duration> = Vec::new();
        let mut bytes = 0;
        for _ in 0..30 {
            let began = Instant::now();
            let deadline = began + Duration::from_secs(60);
            let page = scraper.scrape(&ScrapeOptions { deadline, coding });
            times.push(began.elapsed());
            bytes = page.chunks.iter().map(|chunk| chunk.len()).sum();
        }
        times.sort();
        let (min, median) = (times[0], times[times.len() / 2]);
        println!(
            "{name:<10} {coding:?}: min {:>6.2} ms, median {:>6.2} ms, {:>4} ns a row, {bytes} bytes",
            min.as_secs_f64() * 1e3,
            median.as_secs_f64() * 1e3,
            median.as_nanos() as u64 / rows,
        );
    }
}

fn source(key_size: usize, rows: Vec<(Vec<u8>, u64)>) -> Arc<Literal> {
    let shape = Shape { key_size, value_size: 8, lanes: 1, lane_stride: 8 };
    let rows: Vec<_> = rows.into_iter().map(|(key, value)| (key, value.to_ne_bytes())).collect();
    Arc::new(Literal::new(shape, rows.iter().map(|(key, value)| (&key[..], &value[..]))))
}

fn label(name: &str, offset: usize, size: usize, decoder: &str) -> LabelSpec {
    let host = Arc::new(Host::new(Roots::default()));
    let chain = Chain::build(&[(decoder.to_owned(), Params::default())], size, &host);
    let source = LabelSource::Key { offset, size };
    let chain = Arc::new(chain.expect("a good chain"));
    LabelSpec { name: name.to_owned(), source, chain, path: String::new(), position: None }
}

fn metric(kind: MetricKind, key_size: usize, labels: Vec<LabelSpec>) -> MetricSpec {
    MetricSpec {
        family: "ebpf_exporter_bench_total".to_owned(),
        name: "bench_total".to_owned(),
        help: "Bench".to_owned(),
        kind,
        map: "bench".to_owned(),
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

fn member(config: &str, metric: MetricSpec, source: Arc<dyn Source>) -> Member {
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
            sources: vec![NamedSource { map: "bench".to_owned(), source }],
            streams: Vec::new(),
            programs: Arc::new(LiteralPrograms::default()),
            cgroups: Arc::default(),
        },
    }
}
