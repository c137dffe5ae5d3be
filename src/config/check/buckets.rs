//! Buckets of histograms: what can be bounds, and how many.

use super::{Sink, spot_of, was_refused};
use crate::config::findings::Spot;
use crate::config::raw::{Found, RawMetric};
use crate::config::suggest;
use crate::problem::{Place, Problem};
use crate::series::{BucketKind, Buckets};

/// More are a mistake in `bucket_max` rather than a histogram: each is a series for each label set.
const MAX_BUCKETS: i64 = 65_536;

const TYPES: [&str; 5] = ["exp2", "exp2zero", "linear", "fixed", "log2"];

/// How many slots a histogram has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// As many as there are keys.
    Keys,
    /// Those of an array in the value.
    Array(usize),
    /// As many as there are bounds, and one above.
    Observed,
    /// Those of an array that is not there, which was said.
    Lost,
}

/// The buckets of a histogram; none when they make no sense.
pub(super) fn buckets(sink: &mut Sink<'_>, raw: &RawMetric, room: Room) -> Option<Buckets> {
    let multiplier = multiplier(sink, raw);
    let kind = match raw.bucket_type.as_ref().map(|kind| kind.value.as_str()).unwrap_or_default() {
        "exp2" => range(sink, raw, room).map(|(min, max)| BucketKind::Exp2 { min, max }),
        "exp2zero" => range(sink, raw, room).map(|(min, max)| BucketKind::Exp2Zero { min, max }),
        "linear" => range(sink, raw, room).map(|(min, max)| BucketKind::Linear { min, max }),
        "log2" => range(sink, raw, room).map(|(min, max)| BucketKind::Log2 { min, max }),
        "fixed" => fixed(sink, raw, room).map(|keys| BucketKind::Fixed { keys }),
        "" if was_refused(raw.bucket_type.as_ref(), raw, "bucket_type") => None,
        other => {
            unknown_type(sink, raw, other);
            None
        }
    };
    let buckets = Buckets { kind: kind?, multiplier: multiplier? };
    rising(sink, raw, &buckets).then_some(buckets)
}

fn unknown_type(sink: &mut Sink<'_>, raw: &RawMetric, found: &str) {
    let spot = spot_of(raw.bucket_type.as_ref(), raw);
    let problem = if found.is_empty() {
        Problem::error("missing-bucket-type", Place::default(), "a histogram without a `bucket_type`")
            .expected("exp2, exp2zero, linear, fixed or log2")
    } else {
        let mut problem =
            Problem::error("bad-bucket-type", Place::default(), format!("unknown bucket type {found:?}"));
        problem.help = suggest::help("bucket types there are", found, TYPES);
        problem
    };
    sink.report(spot, problem);
}

/// 0 means 1, as in the reference.
fn multiplier(sink: &mut Sink<'_>, raw: &RawMetric) -> Option<f64> {
    let Some(multiplier) = &raw.bucket_multiplier else { return Some(1.0) };
    if multiplier.value == 0.0 {
        return Some(1.0);
    }
    if !multiplier.value.is_finite() || multiplier.value < 0.0 {
        bad(
            sink,
            &multiplier.spot,
            "`bucket_multiplier` cannot scale bounds that rise",
            "a finite number above 0",
            &multiplier.value.to_string(),
        );
        return None;
    }
    Some(multiplier.value)
}

fn range(sink: &mut Sink<'_>, raw: &RawMetric, room: Room) -> Option<(i64, i64)> {
    let value = |found: &Option<Found<i64>>| found.as_ref().map(|found| found.value);
    // The last slot of an array, where there is one.
    let last = match room {
        Room::Array(length) => i64::try_from(length).ok().map(|length| length - 1),
        Room::Keys | Room::Observed | Room::Lost => None,
    };
    let (min, max) = (value(&raw.bucket_min).unwrap_or(0), value(&raw.bucket_max).or(last).unwrap_or(0));
    let spot = spot_of(raw.bucket_max.as_ref(), raw);
    let found = format!("bucket_min {min}, bucket_max {max}");
    // A field of the wrong type was complained of already; its zero would be a false trail.
    if was_refused(raw.bucket_min.as_ref(), raw, "bucket_min")
        || was_refused(raw.bucket_max.as_ref(), raw, "bucket_max")
        || (room == Room::Lost && raw.bucket_max.is_none())
    {
        return None;
    }
    if let Some(last) = last.filter(|last| max > *last) {
        let expected = format!("{last} at most, the index of the array's last slot");
        bad(sink, spot, "the array has no slot for `bucket_max`", &expected, &max.to_string());
        return None;
    }
    if min >= max {
        bad(sink, spot, "the range of the buckets is empty", "`bucket_max` above `bucket_min`", &found);
        return None;
    }
    // The sum stands one slot above the last.
    let count = max.checked_sub(min).filter(|_| max < i64::MAX);
    if count.is_none_or(|count| count >= MAX_BUCKETS) {
        let expected = format!("{MAX_BUCKETS} buckets at most");
        bad(sink, spot, "the histogram has too many buckets", &expected, &found);
        return None;
    }
    Some((min, max))
}

fn fixed(sink: &mut Sink<'_>, raw: &RawMetric, room: Room) -> Option<Vec<f64>> {
    let spot = spot_of(raw.bucket_keys.as_ref(), raw);
    let keys = raw.bucket_keys.as_ref().map_or(&[][..], |keys| &keys.value);
    if keys.is_empty() {
        // A list of the wrong type was complained of already.
        if !raw.given.iter().any(|given| given == "bucket_keys") || !raw.broken {
            bad(sink, spot, "the histogram has no buckets", "`bucket_keys`, a rising list of bounds", "none");
        }
        return None;
    }
    if keys.len() as u64 > MAX_BUCKETS.unsigned_abs() {
        let expected = format!("{MAX_BUCKETS} buckets at most");
        bad(sink, spot, "the histogram has too many buckets", &expected, &keys.len().to_string());
        return None;
    }
    if let Room::Array(length) = room
        && !(length == keys.len() || length == keys.len() + 1)
    {
        let expected =
            format!("{length} bounds for the array's slots, or one less with a slot for all above");
        bad(sink, spot, "the array and the bounds are not of one length", &expected, &keys.len().to_string());
        return None;
    }
    let mut last = f64::NEG_INFINITY;
    for key in keys {
        if !key.value.is_finite() {
            bad(sink, &key.spot, "a bound is not a finite number", "a finite number", &key.value.to_string());
            return None;
        }
        if key.value <= last {
            let expected = format!("a number above {last}");
            bad(sink, &key.spot, "the bounds do not rise", &expected, &key.value.to_string());
            return None;
        }
        last = key.value;
        // The slot of an array is its place, whatever the bound.
        if room == Room::Keys && (key.value < 0.0 || key.value.fract() != 0.0) {
            let message = format!("no slot of the map can be {}: slots are whole numbers from 0", key.value);
            sink.report(&key.spot, Problem::warning("bucket-never-filled", Place::default(), message));
        }
    }
    Some(keys.iter().map(|key| key.value).collect())
}

/// Whether the bounds, as they will be printed, are numbers that rise.
fn rising(sink: &mut Sink<'_>, raw: &RawMetric, buckets: &Buckets) -> bool {
    let (keys, max) =
        (raw.bucket_keys.as_ref().map(|keys| &keys.spot), raw.bucket_max.as_ref().map(|max| &max.spot));
    let fixed = matches!(buckets.kind, BucketKind::Fixed { .. });
    let spot = if fixed { keys } else { max }.unwrap_or(&raw.spot);
    if let BucketKind::Exp2Zero { min, .. } | BucketKind::Log2 { min, .. } = buckets.kind
        && min < 0
    {
        let message = "buckets of this type have no bound below 0";
        bad(sink, spot, message, "`bucket_min` of 0 or more", &min.to_string());
        return false;
    }
    let bounds = buckets.bounds();
    if bounds.iter().all(|bound| bound.is_finite()) && bounds.windows(2).all(|pair| pair[0] < pair[1]) {
        return true;
    }
    let ends = |bound: Option<&f64>| bound.copied().unwrap_or_default();
    bad(
        sink,
        spot,
        "the bounds are not numbers that can be told apart",
        "bounds that rise and stay below 1.8e308",
        &format!("bounds from {:e} to {:e}", ends(bounds.first()), ends(bounds.last())),
    );
    false
}

fn bad(sink: &mut Sink<'_>, spot: &Spot, message: &str, expected: &str, found: &str) {
    sink.report(
        spot,
        Problem::error("bad-buckets", Place::default(), message).expected(expected).found(found),
    );
}
