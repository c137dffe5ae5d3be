//! Configs for tests of what is pure here.
#![cfg(test)]

use std::sync::Arc;

use crate::decode::Matcher;
use crate::problem::{Place, Problem};
use crate::reload::{Provenance, ReadConfig};
use crate::snapshot::{Reduce, ValueSpec};
use crate::spec::{
    CgroupMap, CgroupMapKind, GlobalPatch, LoadSpec, MetricKind, MetricSpec, SeriesLimit, Spec, ViewSpec,
};

/// A counter read from the map `counts`.
pub(super) fn metric(config: &str, name: &str, help: &str) -> MetricSpec {
    MetricSpec {
        family: format!("ebpf_exporter_{name}"),
        name: name.to_owned(),
        help: help.to_owned(),
        kind: MetricKind::Counter,
        map: "counts".to_owned(),
        area: None,
        events: None,
        key_size: 4,
        labels: Vec::new(),
        value: ValueSpec::unsigned(0, 8),
        scale: 1.0,
        reduce: Reduce::Sum,
        zero: false,
        limit: SeriesLimit::default(),
        place: place(config, Some(name)),
    }
}

fn place(config: &str, metric: Option<&str>) -> Place {
    Place { config: Some(config.to_owned()), metric: metric.map(str::to_owned), ..Place::default() }
}

/// An error of a config, or of one of its metrics.
pub(super) fn error(config: &str, metric: Option<&str>) -> Problem {
    Problem::error("wrong", place(config, metric), "it is wrong")
}

/// A warning of a config.
pub(super) fn warning(config: &str) -> Problem {
    Problem::warning("odd", place(config, None), "it is odd")
}

/// A spec with an object of this version, and with metrics of these names and helps.
pub(super) fn spec(name: &str, object: &str, metrics: &[(&str, &str)]) -> Spec {
    let metrics = metrics.iter().map(|(metric_name, help)| metric(name, metric_name, help)).collect();
    let load =
        LoadSpec { name: name.to_owned(), object_bytes: object.as_bytes().into(), ..LoadSpec::default() };
    Spec {
        load,
        view: ViewSpec {
            name: name.to_owned(),
            metrics,
            expiries: Vec::new(),
            losses: Vec::new(),
            spans: Vec::new(),
        },
    }
}

/// What files say: the object's version, the metrics, and what is wrong.
pub(super) fn config(
    name: &str,
    object: &str,
    metrics: &[(&str, &str)],
    problems: Vec<Problem>,
) -> ReadConfig {
    let provenance = Provenance {
        config: Some(format!("{metrics:?}")),
        object: Some(object.to_owned()),
        ..Provenance::default()
    };
    ReadConfig {
        name: name.to_owned(),
        spec: Some(spec(name, object, metrics)),
        problems,
        provenance,
        is_missing: false,
    }
}

/// The same with variables of these sections set to these bytes.
pub(super) fn setting(config: ReadConfig, globals: &[(&str, u8)]) -> ReadConfig {
    let patch = |(section, byte): &(&str, u8)| GlobalPatch {
        name: format!("in{section}"),
        section: (*section).to_owned(),
        offset: 0,
        bytes: vec![*byte],
        mask: None,
        initial: vec![0],
    };
    let provenance = Provenance {
        config: Some(format!("{:?} {globals:?}", config.provenance.config)),
        ..config.provenance
    };
    let spec = config.spec.map(|mut spec| {
        spec.load.globals = globals.iter().map(patch).collect();
        spec
    });
    ReadConfig { spec, provenance, ..config }
}

/// The same with a map of the cgroups whose path matches.
pub(super) fn following(config: ReadConfig, pattern: &str) -> ReadConfig {
    let cgroups = CgroupMap {
        map: "cgroups".to_owned(),
        kind: CgroupMapKind::Hash,
        patterns: vec![pattern.to_owned()],
        matcher: Arc::new(Matcher::new([pattern]).unwrap()),
    };
    let provenance =
        Provenance { config: Some(format!("{:?} {pattern}", config.provenance.config)), ..config.provenance };
    let spec = config.spec.map(|mut spec| {
        spec.load.cgroups = Some(cgroups);
        spec
    });
    ReadConfig { spec, provenance, ..config }
}

/// A config that is lost as a whole.
pub(super) fn lost(name: &str) -> ReadConfig {
    let provenance = Provenance { config: Some("lost".to_owned()), ..Provenance::default() };
    let problems = vec![error(name, None)];
    ReadConfig { name: name.to_owned(), problems, provenance, ..ReadConfig::default() }
}
