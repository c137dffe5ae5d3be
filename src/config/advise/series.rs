//! How many series a metric can become: what a full map costs Prometheus.

use super::Subject;
use crate::elf::MapInfo;
use crate::problem::Problem;
use crate::spec::{LabelSource, MetricKind, MetricSpec, Reduce};

/// More series of one metric on one machine are rarely meant.
const MANY: u64 = 100_000;

/// Series that a histogram has beside its bounds: `+Inf`, `_sum` and `_count`.
const BESIDE_BOUNDS: u64 = 3;

/// Says which metrics can become too many series.
pub(super) fn advise(subject: &Subject<'_>) -> Vec<Problem> {
    let many = |metric: &MetricSpec| {
        let count = Count::of(metric, entries(subject, metric)?, subject.cpus);
        let lower = if metric.events.is_some() { "" } else { ", lower max_entries of the map" };
        (count.total() > MANY).then(|| {
            let message = format!("`{}` can become {} series", metric.name, grouped(count.total()));
            Problem::warning("many-series", metric.place.clone(), message)
                .expected(format!("{} at most", grouped(MANY)))
                .found(count.describe(metric))
                .help(format!("set max_series{lower}, or drop labels: what is equal is summed"))
        })
    };
    subject.metrics().iter().filter_map(many).collect()
}

/// Series of all metrics when their maps are full.
pub(super) fn total(subject: &Subject<'_>) -> u64 {
    let of = |metric: &MetricSpec| {
        entries(subject, metric).map_or(0, |entries| Count::of(metric, entries, subject.cpus).total())
    };
    subject.metrics().iter().map(of).fold(0, u64::saturating_add)
}

/// How many entries there can be of what a metric is read from.
fn entries(subject: &Subject<'_>, metric: &MetricSpec) -> Option<u64> {
    match (&metric.events, metric.area) {
        (Some(events), _) => Some(events.max_entries() as u64),
        (None, Some(area)) => Some(area.rows as u64),
        (None, None) => subject.info.map(&metric.map).map(MapInfo::most_entries),
    }
}

/// The factors of a metric's series.
struct Count {
    /// Label sets, CPUs aside.
    sets: u64,
    cpus: u64,
    /// Series of each label set.
    lines: u64,
    /// Whether it may not have as many as its map has entries.
    is_limited: bool,
}

impl Count {
    fn of(metric: &MetricSpec, entries: u64, cpus: usize) -> Self {
        let lines = match &metric.kind {
            MetricKind::Histogram(histogram) => histogram.buckets.len() as u64 + BESIDE_BOUNDS,
            MetricKind::Counter | MetricKind::Gauge => 1,
        };
        // As many label sets as their bits can tell apart, and no more than entries.
        let bits: usize = metric.labels.iter().map(|label| bits(&label.source)).sum();
        let distinct = if bits >= 64 { u64::MAX } else { 1 << bits };
        let cpus = if metric.reduce == Reduce::Split { cpus.max(1) as u64 } else { 1 };
        let rows = entries.min(distinct).saturating_mul(cpus);
        // The rest is one label set more.
        let rest = u64::from(metric.limit.other.is_some());
        let most = metric.limit.max_series.map_or(u64::MAX, |max| (max as u64).saturating_add(rest));
        if most < rows {
            return Self { sets: most, cpus: 1, lines, is_limited: true };
        }
        Self { sets: entries.min(distinct), cpus, lines, is_limited: false }
    }

    fn total(&self) -> u64 {
        self.sets.saturating_mul(self.cpus).saturating_mul(self.lines)
    }

    fn describe(&self, metric: &MetricSpec) -> String {
        let mut text = if self.is_limited {
            format!("{} label sets by `max_series`", grouped(self.sets))
        } else {
            let what = if metric.area.is_some() { "elements of a variable in" } else { "entries of" };
            format!("{} {what} `{}`", grouped(self.sets), metric.map)
        };
        if self.cpus > 1 {
            text.push_str(&format!(" × {} CPUs", self.cpus));
        }
        if self.lines > 1 {
            text.push_str(&format!(" × {} lines of a histogram", self.lines));
        }
        text
    }
}

/// Bits of the key that a label has.
fn bits(source: &LabelSource) -> usize {
    match source {
        LabelSource::Key { size, .. } => size.saturating_mul(8),
        LabelSource::Bits { bits, .. } => bits.width as usize,
        LabelSource::Cpu => 0,
    }
}

/// A number with commas between its thousands.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[track_caller]
    fn check(kind: MetricKind, labels: &[&str], split: bool, entries: u32, expected: u64) {
        let mut metric = sample::metric(kind, "m", labels);
        metric.reduce = if split { Reduce::Split } else { Reduce::Sum };
        assert_eq!(Count::of(&metric, entries.into(), 4).total(), expected);
    }

    #[test]
    fn a_full_map_is_the_worst_case() {
        check(MetricKind::Counter, &[], false, 1, 1);
        check(MetricKind::Counter, &[], false, 1000, 1);
        check(MetricKind::Counter, &["a"], false, 1000, 1000);
        check(MetricKind::Counter, &["a", "b", "c"], false, u32::MAX, u32::MAX.into());
        check(MetricKind::Counter, &["a"], true, 1000, 4000);
        check(sample::histogram(), &[], false, 1000, 13);
        check(sample::histogram(), &["a"], false, 1000, 13_000);
        check(sample::histogram(), &["a", "b"], true, u32::MAX, 13 * 4 * u64::from(u32::MAX));
    }

    #[test]
    fn a_limit_is_the_worst_case_where_it_is_lower() {
        for (max, other, expected) in
            [(10, false, 10), (10, true, 11), (2000, true, 2000), (2001, false, 2000)]
        {
            let mut metric = sample::metric(MetricKind::Counter, "m", &["a"]);
            metric.reduce = Reduce::Split;
            metric.limit.max_series = Some(max);
            metric.limit.other = other.then(Vec::new);
            assert_eq!(Count::of(&metric, 1000, 2).total(), expected);
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
