//! That README's table and docs/probes.md name the configs that exist, each with all of its metrics, and that
//! queries ask for nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{blocks, root};

/// A metric as a table has it: its type, and its labels but for `le`.
pub type Metrics = BTreeMap<String, (String, Vec<String>)>;

/// The shipped configs, with what they serve.
pub fn shipped() -> BTreeMap<String, Metrics> {
    let configs = std::fs::read_dir(root().join("configs")).unwrap().map(|entry| entry.unwrap().path());
    let shipped = configs.map(|path| {
        let mut config: serde_yaml::Value =
            serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        config.apply_merge().unwrap();
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), metrics(&config))
    });
    shipped.collect()
}

fn metrics(config: &serde_yaml::Value) -> Metrics {
    let mut metrics = Metrics::new();
    for (kind, list) in config["metrics"].as_mapping().unwrap() {
        for metric in list.as_sequence().unwrap() {
            let label =
                |label: &serde_yaml::Value| label.as_str().or(label["name"].as_str()).unwrap().to_owned();
            let labels = metric["labels"].as_sequence();
            let mut labels: Vec<String> = labels.into_iter().flatten().map(label).collect();
            if kind == "histograms" && metric["slots"].is_null() && metric["observe"].is_null() {
                // The slot, which is not shown.
                let slot =
                    metric["bucket"].as_str().or(labels.last().map(String::as_str)).unwrap().to_owned();
                labels.retain(|label| *label != slot);
            }
            let kind = kind.as_str().unwrap().trim_end_matches('s').to_owned();
            metrics.insert(metric["name"].as_str().unwrap().to_owned(), (kind, labels));
        }
    }
    metrics
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/probes.md")).unwrap()
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn each_pair_has_a_section_with_all_of_its_metrics() {
    let page = page();
    let mut sections = BTreeMap::new();
    let text = page.split("\n## Cost").next().unwrap();
    for section in text.split("\n### `").skip(1) {
        let (name, text) = section.split_once('`').unwrap();
        let mut metrics = Metrics::new();
        for row in text.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let [_, metric, kind, labels, help, _] = cells[..] else { panic!("{row}") };
            assert!(!help.is_empty(), "{row}");
            let labels = quoted(labels).map(str::to_owned).collect();
            metrics.insert(quoted(metric).next().unwrap().to_owned(), (kind.to_owned(), labels));
        }
        assert!(text.contains("```promql"), "{name} has no query");
        assert_eq!(sections.insert(name.to_owned(), metrics), None, "{name} stands there twice");
    }
    assert_eq!(sections, shipped());
}

#[test]
fn the_readme_names_each_pair_and_metric() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let table = readme.split("## What is shipped").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut rows = BTreeMap::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, name, question, served, _] = cells[..] else { panic!("{row}") };
        assert!(question.ends_with('?'), "{row}");
        let mut metrics = Metrics::new();
        for metric in served.split(", `") {
            let (text, kind) = metric.trim_start_matches('`').split_once('`').unwrap();
            let (name, labels) = text.split_once('{').unwrap_or((text, "}"));
            let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
            let kind = if kind.is_empty() { "counter" } else { kind.trim() };
            metrics.insert(name.to_owned(), (kind.to_owned(), labels.map(str::to_owned).collect()));
        }
        rows.insert(quoted(name).next().unwrap().to_owned(), metrics);
    }
    assert_eq!(rows, shipped());
}

/// The names that series of the shipped configs have, with their labels.
pub fn series() -> BTreeMap<String, BTreeSet<String>> {
    let mut series = BTreeMap::new();
    for (name, (kind, labels)) in shipped().into_values().flatten() {
        let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        for suffix in suffixes {
            let mut labels: BTreeSet<String> = labels.iter().cloned().collect();
            if *suffix == "_bucket" {
                labels.insert("le".to_owned());
            }
            series.insert(format!("ebpf_exporter_{name}{suffix}"), labels);
        }
    }
    series
}

/// Names of series in a query.
pub fn asked(query: &str) -> impl Iterator<Item = &str> {
    let words = query.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("ebpf_exporter_"))
}

/// Has promtool read queries as rules.
#[track_caller]
pub fn assert_queries_parse(queries: &[String]) {
    let mut rules = String::from("groups:\n- name: queries\n  rules:\n");
    for (number, query) in queries.iter().enumerate() {
        writeln!(rules, "  - record: query_{number}\n    expr: |-\n      {query}").unwrap();
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), rules).unwrap();
    assert_rules_are_right(file.path());
}

/// Has promtool read a file of rules.
#[track_caller]
pub fn assert_rules_are_right(file: &Path) {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "rules"]).arg(file).stdin(Stdio::null());
    let output = promtool.output().expect("promtool is needed (apt-get install prometheus)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn queries_are_right_and_ask_for_what_there_is() {
    let page = page();
    let queries: Vec<String> = blocks(&page)
        .into_iter()
        .filter(|block| block.language == "promql")
        .flat_map(|block| block.text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert!(queries.len() >= shipped().len(), "{} queries", queries.len());
    let series = series();
    for query in &queries {
        assert!(asked(query).next().is_some(), "{query}");
        for name in asked(query) {
            assert!(series.contains_key(name), "nobody serves {name}: {query}");
        }
    }
    assert_queries_parse(&queries);
}

/// The table of costs has programs that there are.
#[test]
fn the_table_of_costs_names_programs() {
    let page = page();
    let table = page.split("\n## Cost").nth(1).unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| `")).collect();
    assert!(rows.len() > 40, "{} rows", rows.len());
    for row in rows {
        let mut words = quoted(row);
        let (config, program) = (words.next().unwrap(), words.next().unwrap());
        let info = super::info(root().join(format!("bpf-objects/{config}.bpf.o")));
        assert!(info.programs.iter().any(|known| *known.name == *program), "there is no such program: {row}");
    }
}
