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

/// The examples are configs but for their objects, which are nobody's.
#[test]
fn every_example_is_a_config() {
    let page = page();
    let examples: Vec<&str> = page
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"))
        .map(|(text, _)| text)
        .collect();
    assert!(examples.len() >= 5, "{}", examples.len());
    for text in examples {
        let problems = checked(text).problems;
        let of_the_object = |problem: &&Problem| {
            matches!(problem.code, "missing-map" | "missing-variable" | "missing-program" | "no-metric-left")
        };
        let wrong: Vec<&Problem> = problems.iter().filter(|problem| !of_the_object(problem)).collect();
        assert!(wrong.is_empty(), "{wrong:#?}\n{text}");
    }
}
