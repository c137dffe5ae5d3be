//! Whole scrapes over literal sources.

mod arrays;
mod bases;
mod events;
mod failures;
mod histograms;
mod limits;
mod metrics;
mod page;
mod reloads;
mod sharing;
mod upkeep;
mod zeros;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::decode::{Chain, Params};
use crate::host::{Host, Roots};
use crate::problem::Place;
use crate::series::{BucketKind, Buckets};
use crate::snapshot::fixture::{Literal, LiteralPrograms};
use crate::snapshot::{NamedSource, Programs, Reduce, Shape, Source, ValueSpec, View};
use crate::spec::{Histogram, LabelSource, LabelSpec, MetricKind, MetricSpec, SeriesLimit, Slots, ViewSpec};

/// A decoder step: its name, and for `static_map` the pairs, for `regexp` the expressions.
type Step<'a> = (&'a str, &'a [(&'a str, &'a str)]);

fn chain(steps: &[Step<'_>], size: usize) -> Arc<Chain> {
    let step = |(name, pairs): &Step<'_>| {
        let texts = || pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let params = match *name {
            "static_map" => Params { static_map: Some(texts().collect()), ..Params::default() },
            "regexp" => Params { regexps: texts().map(|(key, _)| key).collect(), ..Params::default() },
            _ => Params::default(),
        };
        ((*name).to_owned(), params)
    };
    let steps: Vec<_> = steps.iter().map(step).collect();
    Arc::new(Chain::build(&steps, size, &Arc::new(Host::new(Roots::default()))).unwrap())
}

fn label(name: &str, offset: usize, size: usize, steps: &[Step<'_>]) -> LabelSpec {
    let source = LabelSource::Key { offset, size };
    LabelSpec {
        name: name.to_owned(),
        source,
        chain: chain(steps, size),
        path: String::new(),
        position: None,
    }
}

fn cpu_label() -> LabelSpec {
    let chain = chain(&[("uint", &[])], 2);
    LabelSpec { name: "cpu".to_owned(), source: LabelSource::Cpu, chain, path: String::new(), position: None }
}

fn uint(name: &str, offset: usize, size: usize) -> LabelSpec {
    label(name, offset, size, &[("uint", &[])])
}

fn metric(family: &str, kind: MetricKind, key_size: usize, mut labels: Vec<LabelSpec>) -> MetricSpec {
    labels.sort_by(|left, right| left.name.cmp(&right.name));
    MetricSpec {
        family: format!("ebpf_exporter_{family}"),
        name: family.to_owned(),
        help: "Help".to_owned(),
        kind,
        map: family.to_owned(),
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

fn counter(family: &str, key_size: usize, labels: Vec<LabelSpec>) -> MetricSpec {
    metric(family, MetricKind::Counter, key_size, labels)
}

/// A histogram whose slot is the last 8 bytes of the key.
fn histogram(family: &str, kind: BucketKind, multiplier: f64, labels: Vec<LabelSpec>) -> MetricSpec {
    let key_size = labels.iter().map(|label| size(label.source)).sum::<usize>() + 8;
    let slot = uint("bucket", key_size - 8, 8);
    let kind =
        MetricKind::Histogram(Histogram { buckets: Buckets { kind, multiplier }, slots: Slots::Key(slot) });
    metric(family, kind, key_size, labels)
}

fn size(source: LabelSource) -> usize {
    match source {
        LabelSource::Key { size, .. } | LabelSource::Bits { size, .. } => size,
        LabelSource::Cpu => 0,
    }
}

/// A source of rows with 8-byte values.
fn rows(key_size: usize, rows: &[(&[u8], u64)]) -> Arc<Literal> {
    let shape = Shape { key_size, value_size: 8, lanes: 1, lane_stride: 8 };
    let source = Literal::new(shape, []);
    put(&source, rows);
    Arc::new(source)
}

fn put(source: &Literal, rows: &[(&[u8], u64)]) {
    let values: Vec<_> = rows.iter().map(|(_, value)| value.to_ne_bytes()).collect();
    source.replace(rows.iter().zip(&values).map(|((key, _), value)| (*key, &value[..])));
}

fn member(config: &str, metrics: Vec<MetricSpec>, sources: Vec<(&str, Arc<dyn Source>)>) -> Member {
    let sources =
        sources.into_iter().map(|(map, source)| NamedSource { map: map.to_owned(), source }).collect();
    let programs: Arc<dyn Programs> = Arc::new(LiteralPrograms::default());
    Member {
        view_spec: ViewSpec {
            name: config.to_owned(),
            metrics,
            expiries: Vec::new(),
            losses: Vec::new(),
            spans: Vec::new(),
        },
        view: View {
            config: config.to_owned(),
            sources,
            streams: Vec::new(),
            programs,
            cgroups: Arc::default(),
        },
    }
}

fn scraper(members: Vec<Member>) -> Scraper {
    scraper_with(members, Settings::default())
}

fn scraper_with(members: Vec<Member>, settings: Settings) -> Scraper {
    Scraper::new(Arc::new(Live::new(Generation::plan(members, Vec::new()))), settings)
}

fn plain() -> ScrapeOptions {
    ScrapeOptions { deadline: Instant::now() + Duration::from_secs(10), coding: Coding::Identity }
}

fn text(page: &ScrapedPage) -> String {
    String::from_utf8(page.chunks.concat()).unwrap()
}

/// The sorted lines of a page that begin with a prefix.
fn lines(page: &str, prefix: &str) -> Vec<String> {
    let mut lines: Vec<_> = page.lines().filter(|line| line.starts_with(prefix)).map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Scrapes once and compares the sorted lines that begin with a prefix.
#[track_caller]
fn check(scraper: &Scraper, prefix: &str, expected: &[&str]) {
    assert_eq!(lines(&text(&scraper.scrape(&plain())), prefix), expected);
}
