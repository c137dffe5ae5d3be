//! What two metrics may not both claim.

use std::collections::BTreeMap;

use super::self_metrics::reserved;
use crate::problem::{Place, Problem};
use crate::spec::{MetricKind, MetricSpec, ViewSpec};

/// A metric that cannot be served beside the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The config's place in what was given.
    pub config: usize,
    /// The metric's place in the config.
    pub metric: usize,
    /// Why, with both places.
    pub problem: Problem,
}

/// Finds metrics that claim a name that something else has.
///
/// Configs are taken in the order of their names: the later one is refused. Metrics of equal
/// shape share a family; gauges never do, because a sum of gauges means nothing.
#[must_use]
pub fn conflicts(specs: &[&ViewSpec]) -> Vec<Refused> {
    let mut order: Vec<usize> = (0..specs.len()).collect();
    order.sort_by_key(|index| specs.get(*index).map(|spec| &spec.name));
    let mut claims: BTreeMap<String, &MetricSpec> = BTreeMap::new();
    let mut refused = Vec::new();
    for config in order {
        for (metric, spec) in specs.get(config).iter().flat_map(|view| view.metrics.iter().enumerate()) {
            match refusal(spec, &claims) {
                Some(problem) => refused.push(Refused { config, metric, problem }),
                None => {
                    for name in sample_names(spec) {
                        claims.entry(name).or_insert(spec);
                    }
                }
            }
        }
    }
    refused
}

/// Every name that stands at the beginning of a line for this metric, its own first.
fn sample_names(spec: &MetricSpec) -> Vec<String> {
    let mut names = vec![spec.family.clone()];
    if matches!(spec.kind, MetricKind::Histogram(_)) {
        names.extend(["_bucket", "_sum", "_count"].map(|suffix| format!("{}{suffix}", spec.family)));
    }
    names
}

fn refusal(spec: &MetricSpec, claims: &BTreeMap<String, &MetricSpec>) -> Option<Problem> {
    let names = sample_names(spec);
    if let Some(name) = names.iter().find(|name| reserved(name)) {
        let message = format!("the name `{name}` is one of the exporter's own metrics");
        let help = "choose another name or another `namespace`";
        return Some(Problem::error("reserved-name", spec.place.clone(), message).help(help));
    }
    let (name, first) = names.iter().find_map(|name| Some((name, *claims.get(name)?)))?;
    let same_family = first.family == spec.family;
    let difference = if same_family { difference(first, spec)? } else { Difference::name(first, spec) };
    let message = format!("the metric name `{name}` is taken by {}", place(&first.place));
    Some(
        Problem::error("metric-conflict", spec.place.clone(), message)
            .expected(difference.expected)
            .found(difference.found)
            .help("rename one of the two, or give both the same type, help, labels and buckets"),
    )
}

struct Difference {
    expected: String,
    found: String,
}

impl Difference {
    fn of(what: &str, expected: &str, found: &str) -> Option<Self> {
        (expected != found)
            .then(|| Self { expected: format!("{what} {expected}"), found: format!("{what} {found}") })
    }

    fn name(first: &MetricSpec, second: &MetricSpec) -> Self {
        let family = |spec: &MetricSpec| format!("the {} `{}`", kind(spec), spec.family);
        Self { expected: family(first), found: family(second) }
    }
}

fn difference(first: &MetricSpec, second: &MetricSpec) -> Option<Difference> {
    let labels = |spec: &MetricSpec| {
        let names: Vec<_> = spec.labels.iter().map(|label| label.name.as_str()).collect();
        format!("{{{}}}", names.join(", "))
    };
    let bounds = |spec: &MetricSpec| match &spec.kind {
        MetricKind::Histogram(histogram) => format!("{:?}", histogram.buckets.bounds()),
        _ => String::new(),
    };
    let quoted = |text: &str| format!("{text:?}");
    Difference::of("type", kind(first), kind(second))
        .or_else(|| Difference::of("help", &quoted(&first.help), &quoted(&second.help)))
        .or_else(|| Difference::of("labels", &labels(first), &labels(second)))
        .or_else(|| Difference::of("bounds", &bounds(first), &bounds(second)))
        .or_else(|| {
            let gauge = first.kind == MetricKind::Gauge;
            gauge.then(|| Difference {
                expected: "one config for a gauge".to_owned(),
                found: "a second one: gauges are never summed across configs".to_owned(),
            })
        })
        .or_else(|| {
            let same = first.kind == second.kind;
            (!same).then(|| Difference {
                expected: "the same buckets".to_owned(),
                found: "the same bounds, reached in another way".to_owned(),
            })
        })
}

fn kind(spec: &MetricSpec) -> &'static str {
    match spec.kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram(_) => "histogram",
    }
}

fn place(place: &Place) -> String {
    let config = place.config.as_deref().unwrap_or("another config");
    let file = place.file.as_ref().map(|file| file.display().to_string());
    match (file, place.position) {
        (Some(file), Some(position)) => format!("{config} ({file}:{}:{})", position.line, position.column),
        (Some(file), None) => format!("{config} ({file})"),
        _ => config.to_owned(),
    }
}
