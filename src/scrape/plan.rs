//! From checked metrics to what a scrape does for each family.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::rows::{Field, RowPlan};
use super::skip_cache::SkipCache;
use super::state::Identity;
use crate::decode::Injective;
use crate::page::{Family, Type};
use crate::problem::Problem;
use crate::series::{Buckets, LedgerShape, push_label};
use crate::snapshot::{Column, Shape, Source, View};
use crate::spec::{LabelSource, LabelSpec, MetricKind, MetricSpec, Reduce};

/// A source with all that the metrics read from it need: it is read once.
pub(super) struct PlannedSource {
    pub(super) config: String,
    pub(super) map: String,
    pub(super) source: Arc<dyn Source>,
    pub(super) columns: Vec<Column>,
    /// How long the last read took, in microseconds: quick ones go first.
    last_read: AtomicU64,
}

/// Everything about one family of the page.
pub(super) struct FamilyPlan {
    pub(super) name: String,
    pub(super) kind: MetricKind,
    pub(super) frame: Family,
    pub(super) contributors: Vec<Contributor>,
}

/// One metric of one config.
pub(super) struct Contributor {
    pub(super) identity: Identity,
    pub(super) config: String,
    /// The name as written in the config.
    pub(super) metric: String,
    pub(super) source: usize,
    pub(super) column: usize,
    pub(super) rows: RowPlan,
    pub(super) scale: f64,
    pub(super) ledger: LedgerShape,
    pub(super) distinct: Option<Distinct>,
    /// Label sets that are published from the start, as lists.
    pub(super) zeros: Vec<Vec<u8>>,
    /// Lives as long as the decoders that decided it.
    pub(super) skipped: Mutex<SkipCache>,
}

/// What must hold of each key for distinct keys to give distinct label sets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Distinct {
    /// Bytes that must be text: valid UTF-8 up to the first NUL and nothing after it.
    texts: Vec<Range<usize>>,
    /// Bytes that no label shows, which must be zero.
    unseen: Vec<Range<usize>>,
}

impl PlannedSource {
    pub(super) fn last_read(&self) -> Duration {
        Duration::from_micros(self.last_read.load(Ordering::Relaxed))
    }

    pub(super) fn remember_read(&self, took: Duration) {
        self.last_read.store(u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
    }
}

impl FamilyPlan {
    pub(super) fn buckets(&self) -> Option<&Buckets> {
        match &self.kind {
            MetricKind::Histogram(histogram) => Some(&histogram.buckets),
            MetricKind::Counter | MetricKind::Gauge => None,
        }
    }

    /// The condition under which rows may stream into the page without being grouped: one
    /// config contributes, distinct keys are certain to give distinct label sets, and nothing
    /// is published that the map does not hold.
    pub(super) fn direct(&self) -> Option<(&Contributor, &Distinct)> {
        match (self.contributors.as_slice(), self.buckets()) {
            ([only], None) if only.zeros.is_empty() => {
                only.distinct.as_ref().map(|distinct| (only, distinct))
            }
            _ => None,
        }
    }
}

impl Distinct {
    fn of(metric: &MetricSpec, rows: &RowPlan) -> Option<Self> {
        let mut distinct = Self::default();
        let mut seen = vec![rows.is_unlabelled(); metric.key_size];
        let mut cpu = false;
        for label in &metric.labels {
            let injective = label.chain.traits().injective;
            match label.source {
                _ if injective == Injective::Never => return None,
                LabelSource::Cpu => cpu = true,
                LabelSource::Key { offset, size } => {
                    seen.get_mut(offset..offset.checked_add(size)?)?.fill(true);
                    if injective == Injective::Canonical {
                        distinct.texts.push(offset..offset + size);
                    }
                }
            }
        }
        if metric.reduce == Reduce::Split && !cpu {
            return None;
        }
        let mut from = 0;
        for run in seen.chunk_by(|left, right| left == right) {
            if run.first() == Some(&false) {
                distinct.unseen.push(from..from + run.len());
            }
            from += run.len();
        }
        Some(distinct)
    }

    /// Whether it holds of a key.
    pub(super) fn holds(&self, key: &[u8]) -> bool {
        let part = |range: &Range<usize>| key.get(range.clone()).unwrap_or_default();
        self.texts.iter().all(|range| is_canonical(part(range)))
            && self.unseen.iter().all(|range| part(range).iter().all(|byte| *byte == 0))
    }

    /// Whether it holds of every key.
    pub(super) fn is_unconditional(&self) -> bool {
        self.texts.is_empty() && self.unseen.is_empty()
    }
}

fn is_canonical(text: &[u8]) -> bool {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    let (text, tail) = text.split_at(end);
    (text.is_ascii() || std::str::from_utf8(text).is_ok()) && tail.iter().all(|byte| *byte == 0)
}

/// Collects metrics into families and sources.
#[derive(Default)]
pub(super) struct Planner {
    sources: Vec<PlannedSource>,
    families: BTreeMap<String, FamilyPlan>,
}

impl Planner {
    /// Adds a metric of a loaded config.
    pub(super) fn add(&mut self, view: &View, metric: &MetricSpec) -> Result<(), Box<Problem>> {
        let Some(source) = view.source(&metric.map) else {
            let message = format!("the map `{}` cannot be read", metric.map);
            return Err(Box::new(Problem::error("missing-map", metric.place.clone(), message)));
        };
        let shape = source.shape();
        check_shape(metric, shape)?;
        let column = Column { value: metric.value, reduce: metric.reduce };
        let (source, column) = self.column(view, &metric.map, source, column);
        let rows = RowPlan::new(metric);
        let family = self.families.entry(metric.family.clone()).or_insert_with(|| FamilyPlan {
            name: metric.family.clone(),
            kind: metric.kind.clone(),
            frame: frame(metric),
            contributors: Vec::new(),
        });
        let nth = family.contributors.iter().filter(|other| other.config == view.config).count();
        family.contributors.push(Contributor {
            identity: Identity { config: view.config.clone(), family: metric.family.clone(), nth },
            config: view.config.clone(),
            metric: metric.name.clone(),
            source,
            column,
            scale: metric.scale,
            ledger: ledger_shape(metric),
            distinct: Distinct::of(metric, &rows),
            zeros: zeros(metric),
            skipped: Mutex::default(),
            rows,
        });
        Ok(())
    }

    /// Sources, and families by name.
    pub(super) fn finish(self) -> (Vec<PlannedSource>, Vec<FamilyPlan>) {
        (self.sources, self.families.into_values().collect())
    }

    fn column(&mut self, view: &View, map: &str, source: &Arc<dyn Source>, column: Column) -> (usize, usize) {
        let known = self.sources.iter().position(|known| known.config == view.config && known.map == map);
        let index = known.unwrap_or_else(|| {
            self.sources.push(PlannedSource {
                config: view.config.clone(),
                map: map.to_owned(),
                source: Arc::clone(source),
                columns: Vec::new(),
                last_read: AtomicU64::new(0),
            });
            self.sources.len() - 1
        });
        let columns = &mut self.sources[index].columns;
        let place = columns.iter().position(|known| *known == column).unwrap_or_else(|| {
            columns.push(column);
            columns.len() - 1
        });
        (index, place)
    }
}

/// Every label set of a metric that starts at zero; its labels were checked to have few enough.
fn zeros(metric: &MetricSpec) -> Vec<Vec<u8>> {
    if !metric.zero {
        return Vec::new();
    }
    metric.labels.iter().fold(vec![Vec::new()], |lists, label| {
        let texts = label.chain.texts().unwrap_or_default();
        let with = |list: &Vec<u8>, text: &Vec<u8>| {
            let mut list = list.clone();
            let Ok(()) = push_label(&mut list, |out| {
                out.extend_from_slice(text);
                Ok::<_, Infallible>(())
            });
            list
        };
        lists.iter().flat_map(|list| texts.iter().map(move |text| with(list, text))).collect()
    })
}

fn frame(metric: &MetricSpec) -> Family {
    let labels = metric.labels.iter().map(|label| label.name.as_str());
    match &metric.kind {
        MetricKind::Counter => Family::new(&metric.family, &metric.help, Type::Counter, labels),
        MetricKind::Gauge => Family::new(&metric.family, &metric.help, Type::Gauge, labels),
        MetricKind::Histogram(histogram) => {
            Family::histogram(&metric.family, &metric.help, labels, &histogram.buckets.bounds())
        }
    }
}

/// What is kept of a metric means the same as long as this is the same.
fn ledger_shape(metric: &MetricSpec) -> LedgerShape {
    let (stride, buckets) = match &metric.kind {
        MetricKind::Histogram(histogram) => (histogram.buckets.len() + 2, format!("{:?}", histogram.buckets)),
        MetricKind::Counter | MetricKind::Gauge => (1, String::new()),
    };
    let column = Column { value: metric.value, reduce: metric.reduce };
    let labels: Vec<_> = metric.labels.iter().map(|label| label.name.as_str()).collect();
    let lane = if metric.reduce == Reduce::Split { size_of::<u16>() } else { 0 };
    LedgerShape {
        key_size: metric.key_size + lane,
        stride,
        kind: column.kind(),
        meaning: format!("{} {column:?} {buckets} {labels:?}", metric.map),
    }
}

/// The check against the object found the same; here it is held against what was loaded.
fn check_shape(metric: &MetricSpec, shape: Shape) -> Result<(), Box<Problem>> {
    let complain = |message: String, expected: String, found: String| {
        let problem = Problem::error("map-shape", metric.place.clone(), message);
        Err(Box::new(problem.expected(expected).found(found)))
    };
    let bytes = |count: usize| format!("{count} bytes");
    if shape.key_size != metric.key_size || shape.key_size == 0 {
        let message =
            format!("the loaded map `{}` has keys of another size than its object says", metric.map);
        return complain(message, bytes(metric.key_size), bytes(shape.key_size));
    }
    let column = Column { value: metric.value, reduce: metric.reduce };
    if !column.fits(shape) {
        let message = format!("the number lies outside of the values of the loaded map `{}`", metric.map);
        return complain(message, format!("{:?}", metric.value), bytes(shape.value_size));
    }
    let slot = match &metric.kind {
        MetricKind::Histogram(histogram) => Some(&histogram.slot),
        MetricKind::Counter | MetricKind::Gauge => None,
    };
    for label in metric.labels.iter().chain(slot) {
        if !label_fits(label, metric) {
            let message = format!("the label `{}` lies outside of the key", label.name);
            return complain(message, bytes(metric.key_size), format!("{:?}", Field::of(label)));
        }
    }
    Ok(())
}

fn label_fits(label: &LabelSpec, metric: &MetricSpec) -> bool {
    match label.source {
        LabelSource::Key { offset, size } => {
            offset.checked_add(size).is_some_and(|end| end <= metric.key_size)
        }
        LabelSource::Cpu => metric.reduce == Reduce::Split,
    }
}
