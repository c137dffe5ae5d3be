//! Buckets of histograms: what can be bounds, and how many.

use super::{Sink, spot_of, was_refused};
use crate::config::findings::Spot;
use crate::config::raw::{Found, RawMetric};
use crate::config::suggest;
use crate::problem::{Place, Problem};
use crate::series::{BucketKind, Buckets};

/// More are a mistake in `bucket_max` rather than a histogram: each is a series for each label set.
const MAX_BUCKETS: i64 = 65_536;

const TYPES: [&str; 4] = ["exp2", "exp2zero", "linear", "fixed"];

/// The buckets of a histogram; none when they make no sense.
pub(super) fn buckets(sink: &mut Sink<'_>, raw: &RawMetric) -> Option<Buckets> {
    let multiplier = multiplier(sink, raw);
    let kind = match raw.bucket_type.as_ref().map(|kind| kind.value.as_str()).unwrap_or_default() {
        "exp2" => range(sink, raw).map(|(min, max)| BucketKind::Exp2 { min, max }),
        "exp2zero" => range(sink, raw).map(|(min, max)| BucketKind::Exp2Zero { min, max }),
        "linear" => range(sink, raw).map(|(min, max)| BucketKind::Linear { min, max }),
        "fixed" => fixed(sink, raw).map(|keys| BucketKind::Fixed { keys }),
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
            .expected("exp2, exp2zero, linear or fixed")
    } else if found == "log2" {
        Problem::error(
            "not-yet-supported",
            Place::default(),
            "`bucket_type: log2` is not supported by this version",
        )
        .help("a later one will; the helper of `exp2` counts ceil(log2(value))")
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

fn range(sink: &mut Sink<'_>, raw: &RawMetric) -> Option<(i64, i64)> {
    let value = |found: &Option<Found<i64>>| found.as_ref().map_or(0, |found| found.value);
    let (min, max) = (value(&raw.bucket_min), value(&raw.bucket_max));
    let spot = spot_of(raw.bucket_max.as_ref(), raw);
    let found = format!("bucket_min {min}, bucket_max {max}");
    // A field of the wrong type was complained of already; its zero would be a false trail.
    if was_refused(raw.bucket_min.as_ref(), raw, "bucket_min")
        || was_refused(raw.bucket_max.as_ref(), raw, "bucket_max")
    {
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

fn fixed(sink: &mut Sink<'_>, raw: &RawMetric) -> Option<Vec<f64>> {
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
        if key.value < 0.0 || key.value.fract() != 0.0 {
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
    if let BucketKind::Exp2Zero { min, .. } = buckets.kind
        && min < 0
    {
        bad(sink, spot, "`exp2zero` has no bound below 0", "`bucket_min` of 0 or more", &min.to_string());
        return false;
    }
    let bounds: Vec<f64> =
        unscaled(&buckets.kind).into_iter().map(|bound| bound * buckets.multiplier).collect();
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

/// Every bound before it is scaled.
#[allow(clippy::cast_precision_loss)]
fn unscaled(kind: &BucketKind) -> Vec<f64> {
    match kind {
        BucketKind::Exp2 { min, max } => (*min..=*max).map(exp2).collect(),
        BucketKind::Exp2Zero { min, max } => (*min..=*max).map(exp2zero).collect(),
        BucketKind::Linear { min, max } => (*min..=*max).map(|slot| slot as f64).collect(),
        BucketKind::Fixed { keys } => keys.clone(),
    }
}

fn exp2(slot: i64) -> f64 {
    // Beyond 32 bits there is nothing but 0 and infinity.
    2f64.powi(i32::try_from(slot).unwrap_or(if slot < 0 { i32::MIN } else { i32::MAX }))
}

fn exp2zero(slot: i64) -> f64 {
    if slot == 0 { 0.0 } else { exp2(slot - 1) }
}

fn bad(sink: &mut Sink<'_>, spot: &Spot, message: &str, expected: &str, found: &str) {
    sink.report(
        spot,
        Problem::error("bad-buckets", Place::default(), message).expected(expected).found(found),
    );
}
