//! The file's own keys.

use super::fields::join;
use super::keys::{Key, Keys, Shape};
use super::metric::{self, metric};
use super::reader::spot;
use super::{Group, RawConfig, Reader, load, span};
use crate::config::suggest;
use crate::config::yaml::{Kind, Node};
use crate::problem::{Place, Problem};

/// Keys of the file.
pub(crate) const TOP: Keys = Keys {
    what: "a config",
    example: "`metrics: {counters: [...]}`",
    known: &[&[
        Key::new("object", Shape::Text, "The object's file, when it has not the config's name"),
        Key::new("namespace", Shape::Text, "The prefix of metric names, \"\" for none"),
        Key::required("metrics", Shape::Mapping(&METRICS), "What the maps mean").or("tracing"),
        Key::new("kaddrs", Shape::List(&Shape::Text), "Kernel symbols whose addresses the object wants"),
        // `name` was always overwritten by the file's, so it is known and without effect.
        Key::new("name", Shape::Text, "Without effect: the file's name counts"),
        Key::new("globals", Shape::Anything, "Initial values of the object's variables, by name"),
        Key::new(
            "kconfig",
            Shape::Anything,
            "What options of the kernel's configuration are that the object asks for, by name",
        ),
        Key::new("programs", Shape::Named(&load::PROGRAM), "Programs that are switched off, on, or optional"),
        Key::new(
            "choose",
            Shape::List(&Shape::List(&Shape::Text)),
            "Alternatives: the first that is possible is loaded",
        ),
        Key::new("maps", Shape::Named(&load::MAP), "Capacities of maps"),
        Key::new("tracing", Shape::Mapping(&span::TRACING), "Spans, which go to an OpenTelemetry collector"),
        Key::new(
            "cgroup_id_map",
            Shape::Mapping(&load::CGROUPS),
            "A map that follows cgroups by their paths",
        ),
    ]],
    later: &[],
};

const METRICS: Keys = Keys {
    what: "`metrics`",
    example: "`metrics: {counters: [...]}`",
    known: &[&[
        Key::new("counters", Shape::List(&Shape::Mapping(&metric::COUNTER)), "What only rises"),
        Key::new("gauges", Shape::List(&Shape::Mapping(&metric::GAUGE)), "What rises and falls"),
        Key::new("histograms", Shape::List(&Shape::Mapping(&metric::HISTOGRAM)), "What counts by size"),
    ]],
    later: &[],
};

/// What no config does without.
pub(super) const WANTED: &str =
    "`counters`, `gauges` or `histograms` below `metrics`, or `spans` below `tracing`";

/// Whether a key is that of a list of metrics.
pub(super) fn is_group(name: &str) -> bool {
    matches!(name, "counters" | "gauges" | "histograms")
}

/// Whether a config has no lists of metrics because their keys, or those above them, have other names.
fn is_misnamed(root: &Node) -> bool {
    let known = |name: &str| matches!(name, "metrics" | "tracing" | "<<");
    let meant = |name: &str| {
        is_group(name) || name == "spans" || suggest::closest(name, ["metrics", "tracing"]).is_some()
    };
    let Some(top) = names(root) else { return false };
    if !top.iter().any(|name| known(name)) {
        return top.iter().any(|name| meant(name) && !TOP.has(name));
    }
    let Kind::Mapping(entries) = &root.kind else { return false };
    let [metrics] =
        entries.iter().filter(|entry| entry.key.key_text().is_some_and(known)).collect::<Vec<_>>()[..]
    else {
        return false;
    };
    let below = names(&metrics.value).unwrap_or_default();
    let other = |name: &&str| !name.starts_with("x-") && *name != "<<";
    metrics.key.key_text() == Some("metrics")
        && !below.is_empty()
        && below.iter().all(|name| other(name) && !is_group(name))
}

/// The keys of a mapping.
fn names(node: &Node) -> Option<Vec<&str>> {
    let Kind::Mapping(entries) = &node.kind else { return None };
    Some(entries.iter().filter_map(|entry| entry.key.key_text()).collect())
}

/// Reads a whole config.
pub(crate) fn config(reader: &mut Reader, root: &Node) -> RawConfig {
    let mut raw = RawConfig::default();
    if v1(reader, root) {
        return raw;
    }
    reader.is_misnamed = is_misnamed(root);
    for field in reader.fields(root, "", &TOP) {
        let (node, path) = (field.value, field.name);
        match field.name {
            "object" if !node.is_null() => raw.object = reader.text(node, path),
            "namespace" if !node.is_null() => raw.namespace = reader.text(node, path),
            "name" => drop(reader.text(node, path)),
            "kaddrs" => raw.kaddrs = reader.texts(node, path, "symbols"),
            "globals" => raw.globals = load::globals(reader, node, path),
            "kconfig" => raw.kconfig = load::kernel_options(reader, node, path),
            "programs" => raw.programs = load::programs(reader, node, path),
            "choose" => raw.choices = load::choices(reader, node, path),
            "maps" => raw.maps = load::maps(reader, node, path),
            "metrics" => metrics(reader, node, path, &mut raw),
            "tracing" => {
                let spans = span::spans(reader, node, path);
                raw.has_lists |= spans.is_some();
                raw.spans = spans.unwrap_or_default();
            }
            "cgroup_id_map" => raw.cgroups = load::cgroups(reader, node, path),
            _ => {}
        }
    }
    // Null lists count as never written; a list of the wrong type was complained of already.
    if !raw.has_lists && reader.mark().1 == 0 {
        let at = spot(root, "");
        let problem = Problem::error("no-metrics", Place::default(), "the config defines no metrics");
        reader.report(
            &at,
            problem
                .expected(WANTED)
                .help("a config that only loads its object says `metrics: {counters: []}`"),
        );
    }
    raw
}

fn metrics(reader: &mut Reader, node: &Node, path: &str, raw: &mut RawConfig) {
    for field in reader.fields(node, path, &METRICS) {
        let path = join(path, field.name);
        let group = match field.name {
            "counters" => Group::Counters,
            "gauges" => Group::Gauges,
            _ => Group::Histograms,
        };
        // A list that is given again replaces the first.
        raw.metrics.retain(|metric| metric.group != group);
        if field.value.is_null() {
            continue;
        }
        raw.has_lists = true;
        for (index, item) in
            reader.list(field.value, &path, group.key()).unwrap_or_default().iter().enumerate()
        {
            raw.metrics.push(metric(reader, group, item, &format!("{path}[{index}]")));
        }
    }
}

/// The format of the reference's first version: C inside a list of programs.
fn v1(reader: &mut Reader, root: &Node) -> bool {
    let Kind::Mapping(entries) = &root.kind else { return false };
    let has = |name: &str| entries.iter().find(|entry| entry.key.key_text() == Some(name));
    let (Some(programs), None) = (has("programs"), has("metrics")) else { return false };
    if !matches!(programs.value.kind, Kind::Sequence(_)) {
        return false;
    }
    let at = spot(&programs.key, "programs");
    let problem = Problem::error(
        "version-1-config",
        Place::default(),
        "this is a config of ebpf_exporter version 1, which held its programs' source",
    );
    reader.report(
        &at,
        problem
            .expected("`metrics` beside a compiled object")
            .help("write the metrics for version 2 and compile the program to an object of its own"),
    );
    true
}
