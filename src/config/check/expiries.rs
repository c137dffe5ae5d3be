//! When entries are taken out of maps: `maps: {m: {expire: 1h}}`.

use std::time::Duration;

use super::{Context, Sink};
use crate::config::raw::{Group, RawConfig, RawMap};
use crate::elf::{MapInfo, MapKind};
use crate::problem::{Place, Problem};
use crate::spec::{MapExpiry, MetricSpec};

/// Looking at all entries more often would cost more than it is worth.
const LEAST: Duration = Duration::from_secs(1);

/// Maps whose entries are taken out when they have not changed for long. Maps that the object does not have
/// were complained of.
pub(crate) fn expiries(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawConfig,
    metrics: &[MetricSpec],
) -> Vec<MapExpiry> {
    let mut expiries = Vec::new();
    for setting in &raw.maps {
        let Some(map) = context.object.map(&setting.name.value) else { continue };
        sink.map = Some(map.name.clone());
        let expiry = expiry(sink, raw, setting, map);
        match map.kind {
            // Of a buffer it is what its events are kept as.
            MapKind::RINGBUF | MapKind::PERF_EVENT_ARRAY => {
                let of_map = |metric: &&MetricSpec| {
                    metric.events.as_ref().is_some_and(|events| events.buffer == map.name)
                };
                let kept = metrics.iter().filter(of_map).map(|metric| metric.map.clone());
                let after = expiry.map(|expiry| expiry.after);
                expiries.extend(kept.filter_map(|map| Some(MapExpiry { map, after: after? })));
            }
            _ => expiries.extend(expiry),
        }
        sink.map = None;
    }
    expiries
}

fn expiry(sink: &mut Sink<'_>, raw: &RawConfig, setting: &RawMap, map: &MapInfo) -> Option<MapExpiry> {
    let expire = setting.expire.as_ref()?;
    let problem = |message: String| Problem::error("bad-expire", Place::default(), message);
    let is_counted = || {
        let mut buffers = raw.metrics.iter().filter_map(|metric| metric.buffer());
        buffers.any(|buffer| buffer.value == map.name)
    };
    let has_entries = match map.kind {
        MapKind::HASH | MapKind::LRU_HASH | MapKind::PERCPU_HASH | MapKind::LRU_PERCPU_HASH => true,
        MapKind::RINGBUF | MapKind::PERF_EVENT_ARRAY => is_counted(),
        _ => false,
    };
    if !has_entries {
        let problem = problem(format!("entries of `{}` cannot be taken out", map.name));
        let problem = problem
            .expected("a hash or LRU hash, per CPU or not, or a buffer whose events are counted")
            .found(map.kind.to_string());
        sink.report(&expire.spot, problem.help("remove `expire`"));
        return None;
    }
    if expire.value < LEAST {
        let problem = problem(format!("entries of `{}` would be taken out too soon", map.name));
        let problem = problem.expected("1s or more").found(format!("{:?}", expire.value));
        sink.report(
            &expire.spot,
            problem.help("a duration has a unit, such as 30s or 1h; a bare number counts nanoseconds"),
        );
        return None;
    }
    let reads = |metric: &&crate::config::raw::RawMetric| {
        let name = metric.map.as_ref().or(metric.name.as_ref());
        metric.group == Group::Gauges
            && !metric.gives("global")
            && name.is_some_and(|name| name.value == map.name)
    };
    if let Some(gauge) = raw.metrics.iter().find(reads).and_then(|gauge| gauge.name.as_ref()) {
        let message = format!("`expire` takes entries out that the gauge `{}` shows", gauge.value);
        let problem = Problem::warning("expiring-gauge", Place::default(), message);
        sink.report(
            &expire.spot,
            problem.help("a gauge that does not change is not out of date: remove `expire`, or count in a map of its own"),
        );
    }
    Some(MapExpiry { map: map.name.clone(), after: expire.value })
}
