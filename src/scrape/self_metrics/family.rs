//! Collecting own metrics into families of the `prometheus` crate.

use std::collections::BTreeMap;

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use super::names::Name;

/// Families by name, each label set once.
#[derive(Default)]
pub(super) struct Families {
    families: BTreeMap<&'static str, (&'static Name, BTreeMap<LabelSet, f64>)>,
}

/// Label names and values, sorted by name.
type LabelSet = Vec<(&'static str, String)>;

impl Families {
    /// Adds a number; numbers of one label set are added up for counters, and the last one counts for gauges.
    pub(super) fn add(&mut self, name: &'static Name, labels: &[(&'static str, &str)], number: f64) {
        let mut labels: LabelSet = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        labels.sort_unstable();
        let (_, metrics) = self.families.entry(name.name).or_insert_with(|| (name, BTreeMap::new()));
        let place = metrics.entry(labels).or_insert(0.0);
        if name.kind == MetricType::COUNTER {
            *place += number;
        } else {
            *place = number;
        }
    }

    /// The families, by name.
    pub(super) fn finish(self) -> Vec<MetricFamily> {
        self.families.into_values().map(|(name, metrics)| family(name, metrics)).collect()
    }
}

fn family(name: &Name, metrics: BTreeMap<LabelSet, f64>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.name.to_owned());
    family.set_help(name.help.to_owned());
    family.set_field_type(name.kind);
    family
        .set_metric(metrics.into_iter().map(|(labels, number)| metric(name.kind, labels, number)).collect());
    family
}

fn metric(kind: MetricType, labels: LabelSet, number: f64) -> Metric {
    let mut metric = Metric::default();
    let pairs = labels.into_iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value);
        pair
    });
    metric.set_label(pairs.collect());
    if kind == MetricType::COUNTER {
        let mut counter = Counter::default();
        counter.set_value(number);
        metric.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(number);
        metric.set_gauge(gauge);
    }
    metric
}
