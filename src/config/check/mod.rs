//! From a config as written to a spec: one file per topic.
//!
//! What is wrong with a metric costs that metric; every check of it runs all the same,
//! so that a user sees all that is wrong at once.

mod attach;
mod buckets;
mod capacity;
mod carry;
mod cgroups;
mod decoders;
mod defaults;
mod enums;
mod events;
mod expiries;
mod families;
mod globals;
mod kaddrs;
mod kconfig;
mod labels;
mod limits;
mod maps;
mod members;
mod named;
mod names;
mod nested;
mod numbers;
mod pins;
mod programs;
mod regexps;
mod shared;
mod slots;
mod spans;
mod static_maps;
mod tables;
mod values;
mod variables;
mod zeros;

use std::cell::OnceCell;
use std::sync::Arc;

pub(crate) use capacity::settings;
pub(crate) use carry::{carried, definitions};
pub(crate) use cgroups::cgroups;
pub(crate) use events::{buffers, losses, tell_apart};
pub(crate) use expiries::expiries;
pub use families::{settle_families, settle_in_order};
pub(crate) use globals::globals;
pub(crate) use kaddrs::kaddrs;
pub(crate) use kconfig::kernel_options;
pub use names::is_namespace;
pub(crate) use names::namespace;
pub(crate) use nested::nested;
pub(crate) use pins::Pins;
pub(crate) use programs::{choices, programs};
pub(crate) use spans::spans;

use super::findings::{Findings, Spot};
use super::raw::{Found, Group, RawMetric};
use crate::btf::{Btf, EnumIndex};
use crate::elf::ObjectInfo;
use crate::host::Host;
use crate::problem::{Place, Problem};
use crate::spec::{Histogram, MetricKind, MetricSpec, SlotArray, Slots, ValueSpec};

/// What a config is checked against.
pub(crate) struct Context<'a> {
    pub(crate) object: &'a ObjectInfo,
    /// The object's enums, once one is asked for.
    pub(crate) own_enums: OnceCell<EnumIndex<&'a Btf>>,
    /// How many label sets a metric may have that does not say it.
    pub(crate) max_series: Option<usize>,
    /// The prefix of family names; empty for none.
    pub(crate) namespace: &'a str,
    pub(crate) host: &'a Arc<Host>,
}

impl<'a> Context<'a> {
    fn own_enums(&self) -> &EnumIndex<&'a Btf> {
        self.own_enums.get_or_init(|| EnumIndex::new(&self.object.btf))
    }
}

/// Where problems go, with the metric and map at hand.
pub(crate) struct Sink<'f> {
    findings: &'f mut Findings,
    metric: Option<String>,
    map: Option<String>,
    /// How many dear suggestions were made.
    suggestions: usize,
    /// Bytes that regular expressions take, or took before they were refused.
    patterns: usize,
}

impl<'f> Sink<'f> {
    /// A sink that adds to what was found already.
    pub(crate) fn new(findings: &'f mut Findings) -> Self {
        Self { findings, metric: None, map: None, suggestions: 0, patterns: 0 }
    }

    pub(crate) fn report(&mut self, spot: &Spot, mut problem: Problem) {
        problem.place.metric.clone_from(&self.metric);
        problem.place.map.clone_from(&self.map);
        self.findings.report(spot, problem);
    }

    /// Whether nothing more would be told, so that looking on only takes time.
    fn is_full(&self) -> bool {
        self.findings.is_full()
    }

    fn error(&mut self, spot: &Spot, code: &'static str, message: impl Into<String>) {
        self.report(spot, Problem::error(code, Place::default(), message));
    }
}

/// Checks one metric; none when it is lost.
pub(crate) fn metric(context: &Context<'_>, sink: &mut Sink<'_>, raw: &RawMetric) -> Option<MetricSpec> {
    if raw.strange || sink.is_full() {
        return None;
    }
    let name = raw.name.as_ref().map(|name| name.value.clone()).filter(|name| !name.is_empty());
    sink.metric = Some(name.clone().unwrap_or_else(|| raw.spot.path.clone()));
    let errors = sink.findings.errors();
    let spec = if raw.is_of_events() {
        events::checked(context, sink, raw, name)
    } else {
        checked(context, sink, raw, name)
    };
    sink.metric = None;
    sink.map = None;
    spec.filter(|_| sink.findings.errors() == errors && !raw.broken)
}

fn checked(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    name: Option<String>,
) -> Option<MetricSpec> {
    let family = names::family(sink, context.namespace, raw);
    let help = names::help(sink, raw);
    names::labels(sink, raw);
    labels::mixed(sink, raw);
    slots::conflicts(sink, raw);
    events::without_events(sink, raw);
    numbers::unused(sink, raw);
    let scale = numbers::scale(sink, raw);
    // A name that no metric can have is no map's either, and was told.
    let is_named = family.is_some() || raw.map.is_some() || raw.gives("global");
    let table = if is_named { tables::find(context, sink, raw) } else { None };
    let map = table.as_ref().map(|table| &*table.map);
    sink.map = table.as_ref().and_then(tables::Table::map_name);
    // What the labels and bounds would have to be depends on it.
    if slots::forgotten(context, sink, raw, table.as_ref()) {
        return None;
    }
    let (value, array) = numbers_of(context, sink, raw, table.as_ref());
    let buckets = match raw.group {
        Group::Histograms => buckets::buckets(sink, raw, room(raw, array)),
        Group::Counters | Group::Gauges => None,
    };
    let keys = table.as_ref().map(tables::Table::keys);
    let fields = keys.and_then(|keys| labels::fields(context, sink, raw, keys));
    let chains = decoders::chains(context, sink, raw, fields.as_ref());
    let reduce = numbers::reduce(sink, raw, map, fields.as_ref().is_some_and(|fields| fields.split));
    let specs = fields.zip(chains).and_then(|(fields, chains)| fields.into_specs(raw, chains));
    let zero = zeros::zero(sink, raw, specs.as_ref().map(|(labels, _)| labels.as_slice()));
    let limit = limits::limit(
        context,
        sink,
        raw,
        specs.as_ref().map(|(labels, _)| labels.as_slice()),
        zero.unwrap_or(false),
    );
    // Everything was looked at: from here on nothing may be missing.
    let ((mut labels, slot), table) = (specs?, table.as_ref()?);
    labels.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let slots = array.map(Slots::Array).or(slot.map(Slots::Key));
    let kind = match raw.group {
        Group::Counters => MetricKind::Counter,
        Group::Gauges => MetricKind::Gauge,
        Group::Histograms => MetricKind::Histogram(Histogram { buckets: buckets?, slots: slots? }),
    };
    let name = name?;
    Some(MetricSpec {
        family: family?,
        place: place(sink, raw, table.map_name(), &name),
        name,
        help: help?,
        kind,
        map: table.source(),
        area: table.area(),
        events: None,
        key_size: table.keys().size(),
        labels,
        value: value?,
        scale: scale?,
        reduce: reduce?,
        zero: zero?,
        limit: limit?,
    })
}

/// The number of each entry, or the first of its slots and the array of them.
fn numbers_of(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    table: Option<&tables::Table<'_>>,
) -> (Option<ValueSpec>, Option<SlotArray>) {
    let Some(table) = table else { return (None, None) };
    if raw.gives("slots") {
        let array = slots::array(context, sink, raw, &table.map);
        return array.map(|array| table.moved_slots(array)).unzip();
    }
    (table.value(context, sink, raw), None)
}

/// How many slots there are.
fn room(raw: &RawMetric, array: Option<SlotArray>) -> buckets::Room {
    match array {
        Some(array) => buckets::Room::Array(array.length),
        // Without any label it is missed already.
        None if raw.gives("slots") || (raw.slot_is_label() && raw.labels.is_empty()) => buckets::Room::Lost,
        None => buckets::Room::Keys,
    }
}

fn place(sink: &Sink<'_>, raw: &RawMetric, map: Option<String>, name: &str) -> Place {
    Place {
        path: raw.spot.path.clone(),
        position: spot_of(raw.name.as_ref(), raw).position,
        metric: Some(name.to_owned()),
        map,
        ..sink.findings.place.clone()
    }
}

/// Whether a key was written but its value was of a wrong type, which was said already.
fn was_refused<T>(found: Option<&Found<T>>, raw: &RawMetric, key: &str) -> bool {
    found.is_none() && raw.gives(key)
}

/// A field's spot, or the metric's where the field is missing.
fn spot_of<'r, T>(found: Option<&'r Found<T>>, raw: &'r RawMetric) -> &'r Spot {
    found.map_or(&raw.spot, |found| &found.spot)
}
