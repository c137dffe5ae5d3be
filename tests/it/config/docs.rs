use bpftally::decode::DECODERS;

use super::*;

fn page() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/config.md")).unwrap()
}

#[test]
fn every_decoder_is_in_the_table() {
    let page = page();
    for decoder in DECODERS {
        let row = format!("| `{}` | {} |", decoder.name, decoder.summary.replace('|', "\\|"));
        assert!(page.contains(&row), "docs/config.md lacks this row:\n{row}");
    }
    let (_, table) = page.split_once("| name | what it gives |\n| --- | --- |\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|')).count();
    assert_eq!(rows, DECODERS.len(), "docs/config.md has rows for decoders that are gone");
}

/// The YAML blocks of the page.
pub fn examples() -> Vec<String> {
    let page = page();
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let examples: Vec<String> = blocks.map(|(text, _)| text.to_owned()).collect();
    assert!(examples.len() >= 5, "{}", examples.len());
    examples
}

/// The examples are configs but for their objects, which are nobody's.
#[test]
fn every_example_is_a_config() {
    for text in examples() {
        let problems = checked(&text).problems;
        let of_the_object = |problem: &&Problem| matches!(problem.code, "missing-map" | "no-metric-left");
        let wrong: Vec<&Problem> = problems.iter().filter(|problem| !of_the_object(problem)).collect();
        assert!(wrong.is_empty(), "{wrong:#?}\n{text}");
    }
}

/// Every key of the schema has a row in a table.
#[test]
fn every_key_is_documented() {
    fn keys(value: &serde_json::Value, found: &mut Vec<String>) {
        let serde_json::Value::Object(object) = value else { return };
        if let Some(serde_json::Value::Object(properties)) = object.get("properties") {
            found.extend(properties.keys().cloned());
        }
        object.values().for_each(|value| keys(value, found));
    }
    let mut found = Vec::new();
    keys(&serde_json::from_str(&bpftally::config::schema()).unwrap(), &mut found);
    assert!(found.len() > 30, "{found:?}");
    let page = page();
    // Lists of metrics are told in one row, and what is not supported yet in a table of its own.
    let elsewhere = ["counters", "gauges", "histograms", "perf_event_array", "tracing", "cgroup_id_map"];
    for key in found.iter().filter(|key| !elsewhere.contains(&key.as_str())) {
        assert!(page.contains(&format!("| `{key}` |")), "docs/config.md has no row for `{key}`");
    }
}
