//! Families that several metrics claim.
//!
//! Metrics of equal shape share a family and their equal label sets are summed. When the
//! shapes differ the later one, by the name of its config, is refused: a page can say
//! type and help of a family only once. Gauges are never summed, so they never share.

use std::collections::{BTreeMap, HashMap};

use crate::problem::{Place, Problem};
use crate::spec::{Area, MetricKind, MetricSpec, Owner, Spec, ValueSpec};

/// Names that a histogram writes beside its own.
const SUFFIXES: [&str; 3] = ["_bucket", "_count", "_sum"];

/// What a family is, by the first metric that claimed it.
struct Claim {
    kind: MetricKind,
    help: String,
    labels: Vec<String>,
    place: Place,
    /// Which numbers of which maps or variables of which configs feed it.
    sources: Vec<(String, String, Option<Area>, ValueSpec)>,
}

/// Removes metrics whose family is another's, or the exporter's own, and says so. Configs come in the order
/// of their names.
pub fn settle_families(specs: &mut [Spec]) -> Vec<Problem> {
    specs.sort_unstable_by(|one, other| one.view.name.cmp(&other.view.name));
    settle_in_order(specs)
}

/// The same among configs in the order of their precedence.
pub fn settle_in_order(specs: &mut [Spec]) -> Vec<Problem> {
    let mut registry = Registry::default();
    let mut problems = Vec::new();
    for spec in specs {
        let config = spec.view.name.clone();
        spec.view.metrics.retain(|metric| match registry.claim(&config, metric) {
            Ok(warning) => {
                problems.extend(warning);
                true
            }
            Err(problem) => {
                problems.push(*problem);
                false
            }
        });
    }
    problems
}

#[derive(Default)]
struct Registry {
    claims: BTreeMap<String, Claim>,
    /// Names that histograms write, with the family that does.
    derived: HashMap<String, String>,
}

impl Registry {
    /// A warning, or why it cannot be.
    fn claim(&mut self, config: &str, metric: &MetricSpec) -> Result<Option<Problem>, Box<Problem>> {
        let family = metric.family.as_str();
        let derived = derived(metric);
        let warning = owned(metric, &derived)?;
        if let Some(claim) = self.claims.get_mut(family) {
            return claim.join(config, metric).map(|()| None);
        }
        if let Some(histogram) = self.derived.get(family) {
            return Err(self.collision(metric, family, histogram));
        }
        for name in &derived {
            if self.claims.contains_key(name) {
                return Err(self.collision(metric, name, name));
            }
            if let Some(histogram) = self.derived.get(name) {
                return Err(self.collision(metric, name, histogram));
            }
        }
        for name in derived {
            self.derived.insert(name, family.to_owned());
        }
        self.claims.insert(family.to_owned(), Claim::new(config, metric));
        Ok(warning)
    }

    fn collision(&self, metric: &MetricSpec, name: &str, other: &str) -> Box<Problem> {
        let message = format!("`{}` and `{other}` would both write `{name}`", metric.family);
        let place = self.claims.get(other).map(|claim| describe(&claim.place)).unwrap_or_default();
        Box::new(
            Problem::error("metric-collision", metric.place.clone(), message)
                .found(format!("`{other}` {place}"))
                .help("a histogram writes _bucket, _sum and _count behind its name: rename one of the two"),
        )
    }
}

impl Claim {
    fn new(config: &str, metric: &MetricSpec) -> Self {
        Self {
            kind: metric.kind.clone(),
            help: metric.help.clone(),
            labels: label_names(metric),
            place: metric.place.clone(),
            sources: vec![(config.to_owned(), metric.map.clone(), metric.area, metric.value)],
        }
    }

    /// Lets another metric into the family, or says why not.
    fn join(&mut self, config: &str, metric: &MetricSpec) -> Result<(), Box<Problem>> {
        let first = describe(&self.place);
        let refuse = |code, message: String, help: &str| {
            let problem = Problem::error(code, metric.place.clone(), message);
            Err(Box::new(problem.found(format!("the first is {first}")).help(help)))
        };
        let family = &metric.family;
        let differences = self.differences(metric);
        if !differences.is_empty() {
            let message =
                format!("`{family}` differs from a metric of the same name in {}", differences.join(", "));
            return refuse("metric-conflict", message, "make both alike, or rename one of them");
        }
        if self.kind == MetricKind::Gauge {
            let message = format!("the gauge `{family}` is defined twice, and gauges are never summed");
            return refuse("metric-conflict", message, "rename one of them");
        }
        let source = (config.to_owned(), metric.map.clone(), metric.area, metric.value);
        if self.sources.contains(&source) {
            let message =
                format!("`{family}` is defined twice from the same map, which would count everything twice");
            return refuse("duplicate-metric", message, "remove one of them");
        }
        self.sources.push(source);
        Ok(())
    }

    fn differences(&self, metric: &MetricSpec) -> Vec<&'static str> {
        let mut differences = Vec::new();
        match (&self.kind, &metric.kind) {
            (MetricKind::Histogram(one), MetricKind::Histogram(other)) if one.buckets != other.buckets => {
                differences.push("its buckets");
            }
            (one, other) if std::mem::discriminant(one) != std::mem::discriminant(other) => {
                differences.push("its type");
            }
            _ => {}
        }
        if self.help != metric.help {
            differences.push("its help");
        }
        if self.labels != label_names(metric) {
            differences.push("the names of its labels");
        }
        differences
    }
}

/// What there is to say of a metric that has a name of the exporter's own.
fn owned(metric: &MetricSpec, derived: &[String]) -> Result<Option<Problem>, Box<Problem>> {
    const HELP: &str = "rename the metric, or give the config a `namespace` of its own";
    let names = || std::iter::once(&metric.family).chain(derived);
    if let Some(name) = names().find(|name| Owner::of(name) == Owner::Exporter) {
        let message = format!("`{name}` is one of the exporter's own metrics");
        return Err(Box::new(Problem::error("reserved-metric", metric.place.clone(), message).help(HELP)));
    }
    let warning = |name: &String| {
        let message =
            format!("`{name}` is also one of the exporter's own metrics, which is left out for this one");
        Problem::warning("own-metric-hidden", metric.place.clone(), message).help(HELP)
    };
    Ok(names().find(|name| Owner::of(name) == Owner::ConfigFirst).map(warning))
}

fn derived(metric: &MetricSpec) -> Vec<String> {
    match metric.kind {
        MetricKind::Histogram(_) => {
            SUFFIXES.iter().map(|suffix| format!("{}{suffix}", metric.family)).collect()
        }
        MetricKind::Counter | MetricKind::Gauge => Vec::new(),
    }
}

/// Names in the page's order, which is theirs already.
fn label_names(metric: &MetricSpec) -> Vec<String> {
    metric.labels.iter().map(|label| label.name.clone()).collect()
}

fn describe(place: &Place) -> String {
    match &place.config {
        Some(config) => format!("in the config `{config}` ({place})"),
        None => format!("at {place}"),
    }
}
