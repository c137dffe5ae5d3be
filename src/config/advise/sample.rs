//! Metrics and objects for tests of advice.

#![cfg(test)]

use std::sync::Arc;

use crate::decode::{Chain, Params};
use crate::host::{Host, Roots};
use crate::problem::Place;
use crate::series::{BucketKind, Buckets};
use crate::spec::{
    Histogram, LabelSource, LabelSpec, MetricKind, MetricSpec, Reduce, SeriesLimit, Slots, ValueSpec,
};

pub(super) fn label(name: &str, offset: usize, size: usize, decoder: &str) -> LabelSpec {
    let host = Arc::new(Host::new(Roots::default()));
    let chain = Chain::build(&[(decoder.to_owned(), Params::default())], size, &host).unwrap();
    LabelSpec {
        name: name.to_owned(),
        source: LabelSource::Key { offset, size },
        chain: Arc::new(chain),
        path: String::new(),
        position: None,
    }
}

/// A histogram with 10 bounds.
pub(super) fn histogram() -> MetricKind {
    MetricKind::Histogram(Histogram {
        buckets: Buckets { kind: BucketKind::Exp2 { min: 0, max: 9 }, multiplier: 1.0 },
        slots: Slots::Key(label("slot", 0, 4, "uint")),
    })
}

/// A metric of the map `m`, each of whose labels is a number of 4 bytes.
pub(super) fn metric(kind: MetricKind, name: &str, labels: &[&str]) -> MetricSpec {
    let labels: Vec<LabelSpec> =
        labels.iter().enumerate().map(|(index, name)| label(name, 4 * index, 4, "uint")).collect();
    MetricSpec {
        family: name.to_owned(),
        name: name.to_owned(),
        help: "h".to_owned(),
        kind,
        map: "m".to_owned(),
        area: None,
        events: None,
        key_size: 4 * labels.len().max(1),
        labels,
        value: ValueSpec::unsigned(0, 8),
        scale: 1.0,
        reduce: Reduce::Sum,
        zero: false,
        limit: SeriesLimit::default(),
        place: Place::default(),
    }
}
