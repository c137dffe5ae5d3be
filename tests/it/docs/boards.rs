//! Dashboards and alerts: each query is one, and asks for series and labels that there are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

use crate::common::exporter::Exporter;

use super::probes::{asked, assert_queries_parse, assert_rules_are_right, series};
use super::root;

fn boards() -> BTreeMap<PathBuf, Value> {
    let files = std::fs::read_dir(root().join("deploy/grafana")).unwrap().map(|entry| entry.unwrap().path());
    let boards = files.map(|path| {
        let board = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        (path, board)
    });
    boards.collect()
}

/// Queries of a dashboard, with what Grafana puts in.
fn queries(board: &Value) -> Vec<String> {
    let panels = board["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries = targets.map(|target| target["expr"].as_str().unwrap());
    queries.map(|query| query.replace("$__rate_interval", "5m").replace("$instance", ".*")).collect()
}

fn rules() -> PathBuf {
    root().join("deploy/prometheus/rules.yml")
}

/// All series of the exporter: of the shipped configs, and its own.
fn known() -> BTreeMap<String, BTreeSet<String>> {
    let (configs, objects) = (root().join("configs"), root().join("bpf-objects"));
    let folders = ["--config.dir", configs.to_str().unwrap(), "--object.dir", objects.to_str().unwrap()];
    let exporter = Exporter::start(&[&folders[..], &["--config.names", "runqlat"]].concat());
    let mut known = series();
    for line in exporter.page().lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) = line.split_once('{').unwrap_or((line.split(' ').next().unwrap(), "}"));
        // A shipped metric is known from its config, and an own one by its series.
        if !known.contains_key(name) && name.starts_with("ebpf_exporter_") {
            let labels =
                labels.split_once('}').unwrap().0.split("\",").filter_map(|label| label.split_once('='));
            known.insert(name.to_owned(), labels.map(|(label, _)| label.to_owned()).collect());
        }
    }
    known
}

/// Labels that a query has in braces or groups by.
fn labels(query: &str) -> BTreeSet<&str> {
    let mut labels = BTreeSet::new();
    for part in query.split('{').skip(1) {
        let inside = part.split('}').next().unwrap();
        for matcher in inside.split("\",") {
            labels.insert(matcher.split(['=', '!']).next().unwrap().trim());
        }
    }
    for part in query.split("by (").skip(1) {
        labels.extend(part.split(')').next().unwrap().split(',').map(str::trim));
    }
    labels
}

#[track_caller]
fn check(known: &BTreeMap<String, BTreeSet<String>>, query: &str) {
    let mut have = BTreeSet::from(["instance"]);
    for name in asked(query) {
        let labels = known.get(name).unwrap_or_else(|| panic!("nobody serves {name}: {query}"));
        have.extend(labels.iter().map(String::as_str));
    }
    assert!(asked(query).next().is_some(), "{query} asks for nothing");
    let wrong: Vec<_> = labels(query).difference(&have).copied().collect();
    assert!(wrong.is_empty(), "no series has the labels {wrong:?}: {query}");
}

#[test]
fn dashboards_ask_for_what_there_is() {
    let known = known();
    let mut all = Vec::new();
    let mut names = BTreeSet::new();
    for (path, board) in boards() {
        let place = path.display();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(board["uid"], format!("bpftally-{stem}"), "{place}");
        assert!(names.insert(board["title"].as_str().unwrap().to_owned()), "{place}: its title is taken");
        for query in queries(&board) {
            check(&known, &query);
            all.push(query);
        }
    }
    assert_queries_parse(&all);

    // Nothing is served that no dashboard shows.
    let shown: BTreeSet<&str> = all.iter().flat_map(|query| asked(query)).map(without_suffix).collect();
    let served = series();
    let hidden: BTreeSet<&str> =
        served.keys().map(|name| without_suffix(name)).filter(|name| !shown.contains(name)).collect();
    assert!(hidden.is_empty(), "on no dashboard: {hidden:?}");
}

/// The family of a histogram's series.
fn without_suffix(name: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

#[test]
fn alerts_ask_for_what_there_is() {
    assert_rules_are_right(&rules());
    let known = known();
    let text = std::fs::read_to_string(rules()).unwrap();
    let rules: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
    for group in rules["groups"].as_sequence().unwrap() {
        for rule in group["rules"].as_sequence().unwrap() {
            let query = rule["expr"].as_str().unwrap();
            check(&known, query);
            // What a text says of a label has to be there when it fires.
            for annotation in rule["annotations"].as_mapping().unwrap().values() {
                for label in annotation.as_str().unwrap().split("$labels.").skip(1) {
                    let label = label.split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap();
                    let grouped = query.contains("by (");
                    let has = |name: &str| known[name].contains(label);
                    let is_there =
                        if grouped { labels(query).contains(label) } else { asked(query).all(has) };
                    assert!(label == "instance" || is_there, "{label}: {query}");
                }
            }
        }
    }
}
