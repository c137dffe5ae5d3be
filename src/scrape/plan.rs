//! From checked metrics to what a scrape does for each family.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::distinct::distinct_form;
use super::lent::SpareGroups;
use super::limit::Limit;
use super::rows::{Field, RowPlan};
use super::skip_cache::SkipCache;
use super::slots::ArrayPlan;
use super::state::Identity;
use crate::page::{Family, Type};
use crate::problem::Problem;
use crate::series::{Buckets, LedgerShape, push_label};
use crate::snapshot::{Area, Column, KeyForm, Shape, Source, Spare, View, Wanted};
use crate::spec::{Histogram, LabelSource, LabelSpec, MetricKind, MetricSpec, Reduce, SlotArray, Slots};

/// A source with all that the metrics read from it need: it is read once.
pub(super) struct PlannedSource {
    pub(super) config: String,
    pub(super) map: String,
    /// Which part of the map it is, when it is a part.
    pub(super) area: Option<Area>,
    pub(super) source: Arc<dyn Source>,
    pub(super) columns: Vec<Column>,
    /// The forms of keys with which families need not be grouped.
    forms: Vec<KeyForm>,
    /// Memory of its last snapshot.
    spare: Arc<Spare>,
    /// How long the last read took, in microseconds: quick ones go first.
    last_read: AtomicU64,
}

/// Everything about one family of the page.
pub(super) struct FamilyPlan {
    pub(super) name: String,
    pub(super) kind: MetricKind,
    pub(super) frame: Family,
    claim: Claim,
    /// Groups of its last page.
    pub(super) spare: Arc<SpareGroups>,
    pub(super) contributors: Vec<Contributor>,
}

/// What all metrics of a family have in common.
#[derive(PartialEq)]
struct Claim {
    help: String,
    labels: Vec<String>,
}

impl Claim {
    fn of(metric: &MetricSpec) -> Self {
        let labels = metric.labels.iter().map(|label| label.name.clone()).collect();
        Self { help: metric.help.clone(), labels }
    }
}

/// One metric of one config.
pub(super) struct Contributor {
    pub(super) identity: Identity,
    pub(super) config: String,
    /// The name as written in the config.
    pub(super) metric: String,
    pub(super) source: usize,
    /// The number of each row; for a histogram in an array its slots.
    pub(super) column: usize,
    /// How an array is a histogram.
    pub(super) array: Option<ArrayPlan>,
    pub(super) rows: RowPlan,
    pub(super) scale: f64,
    pub(super) ledger: LedgerShape,
    /// The form of keys with which distinct ones give distinct label sets, where there is one.
    distinct: Option<KeyForm>,
    /// The place of that form among those that its source is asked for; none when every key has it.
    pub(super) form: Option<usize>,
    pub(super) limit: Option<Limit>,
    /// Label sets that are published from the start, as lists.
    pub(super) zeros: Vec<Vec<u8>>,
    /// Lives as long as the decoders that decided it.
    pub(super) skipped: Mutex<SkipCache>,
}

impl PlannedSource {
    /// What a read has to tell.
    pub(super) fn wanted(&self) -> Wanted<'_> {
        Wanted { columns: &self.columns, forms: &self.forms, spare: Some(&self.spare) }
    }

    pub(super) fn last_read(&self) -> Duration {
        Duration::from_micros(self.last_read.load(Ordering::Relaxed))
    }

    /// Expects a read to take as long as that of another source did.
    pub(super) fn expect_read_of(&self, other: &Self) {
        self.last_read.store(other.last_read.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    pub(super) fn remember_read(&self, took: Duration) {
        self.last_read.store(u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1), Ordering::Relaxed);
    }
}

impl FamilyPlan {
    /// Configs are settled before they are loaded. When the load of one fails that was to give a family up,
    /// what it goes on with can differ from what another one was promised.
    fn check(&self, metric: &MetricSpec) -> Result<(), Box<Problem>> {
        let is_alike = self.kind == metric.kind && self.claim == Claim::of(metric);
        if is_alike && metric.kind != MetricKind::Gauge {
            return Ok(());
        }
        let message = format!("`{}` is served by another config, in another way", self.name);
        let problem = Problem::error("metric-conflict", metric.place.clone(), message);
        let other = self.contributors.first().map(|other| format!("the config `{}`", other.config));
        Err(Box::new(
            problem
                .found(other.unwrap_or_default())
                .help("make both alike, or rename one of them; then reload"),
        ))
    }

    pub(super) fn buckets(&self) -> Option<&Buckets> {
        match &self.kind {
            MetricKind::Histogram(histogram) => Some(&histogram.buckets),
            MetricKind::Counter | MetricKind::Gauge => None,
        }
    }

    /// The condition under which rows may stream into the page without being grouped: one
    /// config contributes, distinct keys are certain to give distinct label sets, and nothing
    /// is published that the map does not hold.
    pub(super) fn direct(&self) -> Option<&Contributor> {
        match (self.contributors.as_slice(), self.buckets()) {
            ([only], None)
                if only.zeros.is_empty() && only.limit.as_ref().is_none_or(Limit::is_out_of_reach) =>
            {
                only.distinct.is_some().then_some(only)
            }
            _ => None,
        }
    }
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
        let source = self.find(view, metric)?;
        let shape = source.shape();
        check_shape(metric, shape)?;
        if let Some(family) = self.families.get(&metric.family) {
            family.check(metric)?;
        }
        let place = self.source(view, metric, &source);
        let mut column = |wanted| self.column(place, wanted);
        let number = column(main_column(metric));
        let array = array(metric).map(|(buckets, array)| ArrayPlan {
            cells: ArrayPlan::cells(buckets, array),
            sum: array.sum.map(|sum| column(Column::new(sum, metric.reduce))),
            count: array.count.map(|count| column(Column::new(count, metric.reduce))),
        });
        let rows = RowPlan::new(metric);
        let ledger = ledger_shape(metric);
        let limit = Limit::of(&metric.limit, &ledger.series, room(metric, source.as_ref()));
        let family = self.families.entry(metric.family.clone()).or_insert_with(|| FamilyPlan {
            name: metric.family.clone(),
            kind: metric.kind.clone(),
            frame: frame(metric),
            claim: Claim::of(metric),
            spare: Arc::default(),
            contributors: Vec::new(),
        });
        let nth = family.contributors.iter().filter(|other| other.config == view.config).count();
        family.contributors.push(Contributor {
            identity: Identity { config: view.config.clone(), family: metric.family.clone(), nth },
            config: view.config.clone(),
            metric: metric.name.clone(),
            source: place,
            column: number,
            array,
            scale: metric.scale,
            ledger,
            distinct: distinct_form(metric, &rows),
            form: None,
            zeros: zeros(metric, limit.as_ref()),
            limit,
            skipped: Mutex::default(),
            rows,
        });
        Ok(())
    }

    /// Sources, and families by name.
    pub(super) fn finish(mut self) -> (Vec<PlannedSource>, Vec<FamilyPlan>) {
        let mut families: Vec<FamilyPlan> = self.families.into_values().collect();
        for family in families.iter_mut().filter(|family| family.direct().is_some()) {
            for contributor in &mut family.contributors {
                let source = self.sources.get_mut(contributor.source);
                let form = contributor.distinct.clone().filter(|form| !form.is_any());
                contributor.form = source.zip(form).map(|(source, form)| place(&mut source.forms, form));
            }
        }
        (self.sources, families)
    }

    /// What a metric is read from: a part of a map for all metrics of that part.
    fn find(&self, view: &View, metric: &MetricSpec) -> Result<Arc<dyn Source>, Box<Problem>> {
        let known = self.place_of(view, metric).and_then(|place| self.sources.get(place));
        let found = known.map(|known| Arc::clone(&known.source)).or_else(|| {
            let source = view.source(&metric.map)?;
            metric.area.map_or_else(|| Some(Arc::clone(source)), |area| source.part(area))
        });
        found.ok_or_else(|| {
            let message = match metric.area {
                Some(_) => format!("the section `{}` cannot be read", metric.map),
                None => format!("the map `{}` cannot be read", metric.map),
            };
            Box::new(Problem::error("missing-map", metric.place.clone(), message))
        })
    }

    fn place_of(&self, view: &View, metric: &MetricSpec) -> Option<usize> {
        self.sources.iter().position(|known| {
            known.config == view.config && known.map == metric.map && known.area == metric.area
        })
    }

    /// The place of a source, which is planned when it is not there.
    fn source(&mut self, view: &View, metric: &MetricSpec, source: &Arc<dyn Source>) -> usize {
        self.place_of(view, metric).unwrap_or_else(|| {
            self.sources.push(PlannedSource {
                config: view.config.clone(),
                map: metric.map.clone(),
                area: metric.area,
                source: Arc::clone(source),
                columns: Vec::new(),
                forms: Vec::new(),
                spare: Arc::default(),
                last_read: AtomicU64::new(0),
            });
            self.sources.len() - 1
        })
    }

    /// The place of a column of a source; metrics that need the same share it.
    fn column(&mut self, source: usize, column: Column) -> usize {
        self.sources.get_mut(source).map_or(usize::MAX, |source| place(&mut source.columns, column))
    }
}

/// The place of one of some things, which is added when it is not there.
fn place<T: PartialEq>(known: &mut Vec<T>, wanted: T) -> usize {
    known.iter().position(|known| *known == wanted).unwrap_or_else(|| {
        known.push(wanted);
        known.len() - 1
    })
}

/// The number of each row, or the slots of a histogram in an array.
fn main_column(metric: &MetricSpec) -> Column {
    let count = array(metric).map_or(1, |(_, array)| array.length);
    Column { value: metric.value, count, reduce: metric.reduce }
}

/// The array of a histogram that lies in one.
fn array(metric: &MetricSpec) -> Option<(&Buckets, &SlotArray)> {
    match &metric.kind {
        MetricKind::Histogram(Histogram { buckets, slots: Slots::Array(array) }) => Some((buckets, array)),
        _ => None,
    }
}

/// Every label set of a metric that starts at zero; its labels were checked to have few enough.
fn zeros(metric: &MetricSpec, limit: Option<&Limit>) -> Vec<Vec<u8>> {
    if !metric.zero {
        return Vec::new();
    }
    let mut zeros: Vec<Vec<u8>> = metric.labels.iter().fold(vec![Vec::new()], |lists, label| {
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
    });
    let mut scratch = Vec::new();
    for list in zeros.iter_mut().filter(|_| limit.is_some()) {
        limit.map(|limit| limit.cut(list, &mut scratch));
    }
    zeros
}

/// How many rows there can be.
fn room(metric: &MetricSpec, source: &dyn Source) -> Option<u64> {
    let lanes = if metric.reduce == Reduce::Split { source.shape().lanes } else { 1 };
    source.max_entries()?.checked_mul(lanes as u64)
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
    let column = main_column(metric);
    let lane = if metric.reduce == Reduce::Split { size_of::<u16>() } else { 0 };
    let labels: Vec<_> = metric.labels.iter().map(|label| label.name.as_str()).collect();
    let mut shape = LedgerShape {
        key_size: metric.key_size + lane,
        stride: 1,
        kind: column.kind(),
        total: None,
        keys: format!("{} {:?} {column:?}", metric.map, metric.area),
        series: format!("{labels:?}"),
    };
    if let MetricKind::Histogram(histogram) = &metric.kind {
        shape.stride = histogram.buckets.len() + 2;
        shape.keys.push_str(&format!(" {:?}", histogram.buckets));
        shape.series.push_str(&format!(" {:?}", histogram.buckets.bounds()));
    }
    if let Some((buckets, array)) = array(metric) {
        ArrayPlan::shape(buckets, array, &mut shape);
    }
    shape
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
    let others = array(metric).map(|(_, array)| [array.sum, array.count]).unwrap_or_default();
    let others = others.into_iter().flatten().map(|value| Column::new(value, metric.reduce));
    if !std::iter::once(main_column(metric)).chain(others).all(|column| column.fits(shape)) {
        let message = format!("the number lies outside of the values of the loaded map `{}`", metric.map);
        return complain(message, format!("{:?}", metric.value), bytes(shape.value_size));
    }
    for label in metric.labels.iter().chain(metric.kind.slot()) {
        if !label_fits(label, metric) {
            let message = format!("the label `{}` lies outside of the key", label.name);
            return complain(message, bytes(metric.key_size), format!("{:?}", Field::of(label)));
        }
    }
    Ok(())
}

fn label_fits(label: &LabelSpec, metric: &MetricSpec) -> bool {
    match label.source {
        LabelSource::Bits { size, bits, .. } if !bits.fits(size) => false,
        LabelSource::Key { offset, size } | LabelSource::Bits { offset, size, .. } => {
            offset.checked_add(size).is_some_and(|end| end <= metric.key_size)
        }
        LabelSource::Cpu => metric.reduce == Reduce::Split,
    }
}
