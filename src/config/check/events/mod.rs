//! Metrics that are made of events.

mod buffer;
mod conditions;
mod key;
mod losses;

pub(crate) use buffer::{buffers, event_types};
pub(crate) use losses::losses;

use super::labels::Fields;
use super::members::Whole;
use super::{
    Context, Sink, buckets, decoders, labels, limits, names, numbers, place, values, was_refused, zeros,
};
use crate::config::raw::{Found, Group, RawMetric};
use crate::elf::MapInfo;
use crate::problem::{Place, Problem};
use crate::series::{BucketKind, Buckets, NumberKind};
use crate::spec::{
    Amount, Condition, EventSpec, Histogram, MetricKind, MetricSpec, Reduce, SlotArray, Slots, ValueKind,
    ValueSpec,
};
use key::EventKey;

/// What is known of the events of a buffer.
enum Layout<'o> {
    /// Their members have names.
    Typed(Whole<'o>),
    /// Nothing but what labels with sizes say.
    Unknown,
    /// What was written is wrong, which was said.
    Lost,
}

impl<'o> Layout<'o> {
    /// The struct, which somebody needs; that it is missing is said.
    fn whole(&self, sink: &mut Sink<'_>, raw: &RawMetric, spot_of: &'static str) -> Option<&Whole<'o>> {
        match self {
            Self::Typed(whole) => Some(whole),
            Self::Unknown => {
                buffer::untyped(sink, raw, spot_of);
                None
            }
            Self::Lost => None,
        }
    }
}

/// Checks a metric that is made of events.
pub(super) fn checked(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    name: Option<String>,
) -> Option<MetricSpec> {
    let family = names::family(sink, context.namespace, raw);
    let help = names::help(sink, raw);
    names::labels(sink, raw);
    labels::mixed(sink, raw);
    conflicts(sink, raw);
    numbers::unused(sink, raw);
    let scale = numbers::scale(sink, raw);
    let map = buffer::find(context, sink, raw);
    sink.map = map.map(|map| map.name.clone());
    let reduce = numbers::reduce(sink, raw, map, false);
    let map = map?;
    let layout = buffer::layout(context, sink, raw, map);
    let conditions = conditions::conditions(context, sink, raw, &layout);
    let buckets = match raw.group {
        Group::Histograms => buckets::buckets(sink, raw, buckets::Room::Observed),
        Group::Counters | Group::Gauges => None,
    };
    let amount = amount(sink, raw, &layout, buckets.as_ref());
    let key = key::key(sink, raw, &layout);
    let (fields, key) = key.unzip();
    let chains = decoders::chains(context, sink, raw, fields.as_ref());
    let specs = fields.zip(chains).and_then(|(fields, chains)| fields.into_specs(raw, chains));
    let labels = specs.as_ref().map(|(labels, _)| labels.as_slice());
    let zero = zeros::zero(sink, raw, labels);
    let limit = limits::limit(context, sink, raw, labels, zero.unwrap_or(false));
    // Everything was looked at: from here on nothing may be missing.
    let ((mut labels, _), key, (amount, meant), (conditions, conditioned)) =
        (specs?, key?, amount?, conditions?);
    reduce?;
    labels.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let (kind, value) = read_as(raw.group, buckets, &amount)?;
    let EventKey { mut parts, meaning } = key;
    let is_told_apart = key::canonicalise(&mut parts, &labels);
    let limit = limit?;
    let rest = limit.max_series.is_some() && limit.other.is_some();
    let flush = raw.flush_interval.as_ref().map(|flush| flush.value).filter(|flush| !flush.is_zero());
    let name = name?;
    let events = EventSpec {
        buffer: map.name.clone(),
        conditions,
        key: parts,
        most: limit.max_series.filter(|_| rest && is_told_apart),
        rest,
        amount,
        flush,
        meaning: format!("{meaning} {meant} {conditioned}{}", if rest { " rest" } else { "" }),
    };
    Some(MetricSpec {
        family: family?,
        place: place(sink, raw, Some(map.name.clone()), &name),
        map: format!("{}:{name}", map.name),
        area: None,
        name,
        help: help?,
        kind,
        key_size: events.key_size(),
        labels,
        value,
        scale: scale?,
        reduce: Reduce::Sum,
        zero: zero?,
        limit,
        events: Some(events),
    })
}

/// Records that are looked at one by one.
pub(super) struct Records<'o> {
    pub(super) map: &'o MapInfo,
    /// Where the labels are; none when one is at fault.
    pub(super) fields: Option<Fields>,
    /// Which records count; none when that is wrong.
    pub(super) conditions: Option<Vec<Condition>>,
}

/// The records of a ring buffer, as its labels, its type and its conditions say.
pub(super) fn records<'o>(
    context: &'o Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
) -> Option<Records<'o>> {
    let map = buffer::find(context, sink, raw)?;
    let layout = buffer::layout(context, sink, raw, map);
    let conditions = conditions::conditions(context, sink, raw, &layout).map(|(conditions, _)| conditions);
    let fields = key::fields(sink, raw, &layout).map(|(fields, _)| fields);
    Some(Records { map, fields, conditions })
}

/// How the entries of the tally are read.
fn read_as(group: Group, buckets: Option<Buckets>, amount: &Amount) -> Option<(MetricKind, ValueSpec)> {
    let word = |nth: usize, kind| ValueSpec { offset: nth * 8, width: 8, kind };
    let of = |value: &ValueSpec| match value.number_kind() {
        NumberKind::U64 => ValueKind::Unsigned,
        NumberKind::I64 => ValueKind::Signed,
        NumberKind::F64 => ValueKind::Float,
    };
    match (group, amount) {
        (Group::Counters, Amount::One) => Some((MetricKind::Counter, ValueSpec::unsigned(0, 8))),
        (Group::Counters, Amount::Number(number)) => Some((MetricKind::Counter, word(0, of(number)))),
        (Group::Histograms, Amount::Observed { value, bounds }) => {
            let length = bounds.len() + 1;
            let sum = Some(word(length, of(value)));
            let slots = Slots::Array(SlotArray { length, sum, count: None, by_bound: true });
            let kind = MetricKind::Histogram(Histogram { buckets: buckets?, slots });
            Some((kind, ValueSpec::unsigned(0, 8)))
        }
        _ => None,
    }
}

/// What an event adds, and what it means.
fn amount(
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    layout: &Layout<'_>,
    buckets: Option<&Buckets>,
) -> Option<(Amount, String)> {
    let (key, path) = match raw.group {
        Group::Histograms => ("observe", raw.observe.as_ref()),
        Group::Counters | Group::Gauges => ("value", raw.value.as_ref()),
    };
    let Some(path) = path else {
        if was_refused(path, raw, key) {
            return None;
        }
        if raw.group == Group::Histograms {
            let problem = Problem::error("missing-observe", Place::default(), "a histogram of nothing");
            let problem = problem.expected("`observe` with the member whose size is counted");
            sink.report(&raw.spot, problem);
            return None;
        }
        return Some((Amount::One, "count".to_owned()));
    };
    let whole = layout.whole(sink, raw, key)?;
    let value = values::by_path(sink, whole, &path.spot, &path.value)?;
    let meaning = format!("{key} {}", whole.meaning(&path.value));
    if raw.group != Group::Histograms {
        return Some((Amount::Number(value), meaning));
    }
    if value.number_kind() == NumberKind::F64 {
        let message = format!("the member `{}` cannot be observed", path.value);
        let problem = Problem::error("value-type", Place::default(), message);
        sink.report(&path.spot, problem.expected("a whole number").found("a float"));
        return None;
    }
    let buckets = buckets?;
    let amount = Amount::Observed { value, bounds: largest(buckets) };
    Some((amount, format!("{meaning} {:?}", buckets.kind)))
}

/// The largest number of each bucket, as it is observed: a multiplier is for what is published.
#[allow(clippy::cast_possible_truncation, reason = "a bound beyond all numbers is as good as the last one")]
fn largest(buckets: &Buckets) -> Vec<i128> {
    let observed = Buckets { kind: buckets.kind.clone(), multiplier: 1.0 };
    match &observed.kind {
        // Beyond 53 bits, bounds are what they are meant to be only as whole numbers.
        BucketKind::Log2 { min, max } => {
            (*min..*max).map(|slot| (1i128 << (slot.clamp(0, 125) + 1)) - 1).collect()
        }
        _ => observed.bounds().iter().map(|bound| bound.floor() as i128).collect(),
    }
}

/// Keys that contradict each other, or that are for maps.
fn conflicts(sink: &mut Sink<'_>, raw: &RawMetric) {
    let mut refuse = |found: Option<&Found<String>>, message: &str, help: &str| {
        if let Some(found) = found {
            let problem = Problem::error("event-conflict", Place::default(), message);
            sink.report(&found.spot, problem.help(help));
        }
    };
    if raw.perf_event_array && raw.gives("ringbuf") {
        let help = "remove `ringbuf`, or `perf_event_array`";
        refuse(raw.ringbuf.as_ref(), "a metric is made of the events of one buffer", help);
    }
    refuse(raw.global.as_ref(), "a metric has one source, and events are one", "remove `global`");
    if raw.gives("ringbuf") {
        refuse(raw.map.as_ref(), "`ringbuf` names the map already", "remove `map`");
    }
    for (key, found) in
        [("bucket", &raw.bucket), ("slots", &raw.slots), ("sum", &raw.sum), ("count", &raw.count)]
    {
        let message = format!("`{key}` is for maps, and events are counted by the exporter");
        refuse(found.as_ref(), &message, "name the member whose size is counted with `observe`");
    }
    if raw.group == Group::Histograms {
        let help = "name the member whose size is counted with `observe`";
        refuse(raw.value.as_ref(), "an event is one observation, whatever its `value`", help);
    }
}

/// Keys that mean something for events alone.
pub(super) fn without_events(sink: &mut Sink<'_>, raw: &RawMetric) {
    let conditions = raw.conditions.first().map(|condition| &condition.name.spot);
    let keys = [
        ("type", raw.event_type.as_ref().map(|found| &found.spot)),
        ("where", conditions),
        ("observe", raw.observe.as_ref().map(|found| &found.spot)),
    ];
    for (key, spot) in keys {
        if let Some(spot) = spot {
            let message = format!("`{key}` is for metrics that are made of events");
            let problem = Problem::error("no-events", Place::default(), message);
            sink.report(spot, problem.help("name the buffer: `ringbuf: MAP`, or `perf_event_array: true`"));
        }
    }
}

/// Gives metrics that count different events under one name maps of their own.
pub(crate) fn tell_apart(metrics: &mut [MetricSpec]) {
    for index in 1..metrics.len() {
        let (before, rest) = metrics.split_at_mut(index);
        let Some(metric) = rest.first_mut() else { continue };
        let Some(events) = &metric.events else { continue };
        let same = before.iter().filter(|other| {
            let other = (other.name == metric.name).then_some(other.events.as_ref()).flatten();
            other.is_some_and(|other| other.buffer == events.buffer && other.meaning != events.meaning)
        });
        let count = same.count();
        if count > 0 {
            metric.map = format!("{}:{}", metric.map, count + 1);
            metric.place.map = Some(events.buffer.clone());
        }
    }
}
