//! What is done with the number: `scale`, `reduce`, and keys that have no effect here.

use super::Sink;
use crate::config::findings::Spot;
use crate::config::raw::{Group, RawMetric};
use crate::config::suggest;
use crate::elf::MapInfo;
use crate::problem::{Place, Problem};
use crate::spec::Reduce;

const REDUCTIONS: [(&str, Reduce); 4] =
    [("sum", Reduce::Sum), ("max", Reduce::Max), ("min", Reduce::Min), ("avg", Reduce::Avg)];

/// The factor of counters and gauges.
pub(super) fn scale(sink: &mut Sink<'_>, raw: &RawMetric) -> Option<f64> {
    let Some(scale) = &raw.scale else { return Some(1.0) };
    let bad = |found: &str, expected: &str| {
        Problem::error("bad-scale", Place::default(), "`scale` makes no sense here")
            .expected(expected)
            .found(found)
    };
    let found = scale.value.to_string();
    let problem = match raw.group {
        Group::Histograms if scale.value != 1.0 => {
            bad(&found, "none: the multiplier of a histogram is `bucket_multiplier`")
        }
        _ if !scale.value.is_finite() || scale.value == 0.0 => bad(&found, "a finite number other than 0"),
        Group::Counters if scale.value < 0.0 => {
            bad(&found, "a number above 0, because a counter never falls")
        }
        _ => return Some(scale.value),
    };
    sink.report(&scale.spot, problem);
    None
}

/// How CPUs become one number.
pub(super) fn reduce(
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    map: Option<&MapInfo>,
    split: bool,
) -> Option<Reduce> {
    let default = if split { Reduce::Split } else { Reduce::Sum };
    let Some(written) = &raw.reduce else { return Some(default) };
    let Some((_, reduce)) = REDUCTIONS.iter().find(|(name, _)| *name == written.value) else {
        let mut problem =
            Problem::error("bad-reduce", Place::default(), format!("unknown reduction {:?}", written.value));
        problem.help =
            suggest::help("reductions there are", &written.value, REDUCTIONS.map(|(name, _)| name));
        sink.report(&written.spot, problem);
        return None;
    };
    if raw.group == Group::Histograms && *reduce != Reduce::Sum {
        let problem =
            Problem::error("bad-reduce", Place::default(), "the slots of a histogram can only be summed");
        sink.report(&written.spot, problem.expected("sum").found(written.value.clone()));
        return None;
    }
    if split {
        warn(sink, &written.spot, "the metric is split by the label `cpu`");
    } else if map.is_some_and(|map| !map.kind.is_per_cpu()) {
        warn(sink, &written.spot, "the map is not a per-CPU one and has one value for each key");
    }
    Some(if split { Reduce::Split } else { *reduce })
}

fn warn(sink: &mut Sink<'_>, spot: &Spot, why: &str) {
    let message = format!("`reduce` has no effect: {why}");
    sink.report(spot, Problem::warning("reduce-without-effect", Place::default(), message).help("remove it"));
}

/// Keys of a histogram that its kind of buckets does not look at.
pub(super) fn unused(sink: &mut Sink<'_>, raw: &RawMetric) {
    let Some(kind) = raw.bucket_type.as_ref().map(|kind| kind.value.as_str()) else { return };
    let fixed = kind == "fixed";
    let given = [
        ("bucket_min", raw.bucket_min.as_ref().map(|found| &found.spot), fixed),
        ("bucket_max", raw.bucket_max.as_ref().map(|found| &found.spot), fixed),
        ("bucket_keys", raw.bucket_keys.as_ref().map(|found| &found.spot), !fixed),
    ];
    for (key, spot, unused) in given {
        if let (Some(spot), true) = (spot, unused) {
            let message = format!("`{key}` has no effect on buckets of the type `{kind}`");
            sink.report(spot, Problem::warning("unused-key", Place::default(), message).help("remove it"));
        }
    }
}
