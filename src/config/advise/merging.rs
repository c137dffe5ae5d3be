//! Counters in which several keys of the map become one series.

use super::Subject;
use crate::decode::Injective;
use crate::problem::Problem;
use crate::spec::{LabelSpec, MetricKind, MetricSpec};

/// Says which counters add keys together, and why.
pub(super) fn advise(subject: &Subject<'_>) -> Vec<Problem> {
    subject.metrics().iter().filter_map(merges).collect()
}

fn merges(metric: &MetricSpec) -> Option<Problem> {
    let merging = |label: &&LabelSpec| label.chain.traits().injective == Injective::Never;
    let labels: Vec<String> =
        metric.labels.iter().filter(merging).map(|label| format!("`{}`", label.name)).collect();
    if metric.kind != MetricKind::Counter || labels.is_empty() {
        return None;
    }
    let what = if metric.area.is_some() { "elements of a variable in" } else { "keys of" };
    let message = format!("several {what} `{}` can become one series of `{}`", metric.map, metric.name);
    let because = format!("different keys can have the same text of {}", labels.join(", "));
    Some(Problem::note("merged-keys", metric.place.clone(), message).found(because).help(
        "they are added; what a key that leaves the map had counted is kept, so that the series never falls",
    ))
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[track_caller]
    fn check(kind: MetricKind, decoder: &str, size: usize, expected: bool) {
        let mut metric = sample::metric(kind, "m", &[]);
        metric.labels = vec![sample::label("a", 0, size, decoder)];
        assert_eq!(merges(&metric).is_some(), expected, "{decoder}");
    }

    #[test]
    fn only_what_is_not_told_apart_is_merged() {
        check(MetricKind::Counter, "uint", 8, false);
        check(MetricKind::Counter, "string", 16, false);
        check(MetricKind::Counter, "ksym", 8, true);
        check(MetricKind::Counter, "uid", 4, true);
        check(MetricKind::Gauge, "ksym", 8, false);
    }
}
