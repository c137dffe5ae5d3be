//! What docs/kernels.md says of kernels: its tables are written by their tests, and leave nothing out.

use std::collections::{BTreeMap, BTreeSet};

use bpftally::elf::SectionKind;

use super::probes::shipped;
use super::root;

/// The rows of a table, without the backquotes of their names, by the title above it: names and cells.
type Tables = BTreeMap<String, BTreeMap<String, Vec<String>>>;

fn page() -> String {
    std::fs::read_to_string(root().join("docs/kernels.md")).unwrap()
}

fn tables(page: &str) -> Tables {
    let (_, written) = page.split_once("<!-- begin: written by `make kernels-table` -->").unwrap();
    let (written, _) = written.split_once("<!-- end -->").unwrap();
    let mut tables = Tables::new();
    for section in written.split("\n### ").skip(1) {
        let (title, text) = section.split_once('\n').unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
        let rows = lines.filter(|line| !line.starts_with("---")).map(|line| {
            let mut cells = line.split(" | ").map(|cell| cell.trim().to_owned());
            (cells.next().unwrap().trim_matches('`').to_owned(), cells.collect())
        });
        assert!(tables.insert(title.to_owned(), rows.collect()).is_none(), "{title} stands there twice");
    }
    tables
}

/// Each kernel's column of the table of shipped configs.
#[track_caller]
fn kernels(tables: &Tables) -> Vec<String> {
    let kernels = tables["Shipped configs"]["config"].clone();
    assert_eq!(kernels.len(), 5, "{kernels:?}");
    assert_eq!(kernels[..4], ["5.10", "6.1", "6.12", "6.18"]);
    kernels
}

#[test]
fn the_table_names_each_shipped_config_with_true_values_on_each_kernel() {
    let tables = tables(&page());
    let kernels = kernels(&tables);
    let table = &tables["Shipped configs"];
    let named: BTreeSet<&String> = table.keys().filter(|name| *name != "config").collect();
    assert_eq!(named, shipped().keys().collect(), "make test-kernels kernels-table writes it");
    for (config, cells) in table.iter().filter(|(name, _)| *name != "config") {
        assert_eq!(cells.len(), kernels.len(), "{config}");
        assert!(cells.iter().all(|cell| cell.starts_with("true (")), "{config}: {cells:?}");
    }
}

/// Whatever libbpf knows is in the table, or the page says why it is not.
#[test]
fn the_table_names_each_kind_of_hook() {
    let page = page();
    let tables = tables(&page);
    let kernels = kernels(&tables);
    let table = &tables["Hooks"];
    for kind in SectionKind::all() {
        let name = kind.prefix();
        let Some(cells) = table.get(name) else {
            assert!(page.contains(&format!("`{name}`")), "docs/kernels.md does not name `{name}`");
            continue;
        };
        for (kernel, cell) in kernels.iter().zip(cells) {
            let is_refused = cell.strip_prefix("needs ").is_some_and(|reason| !reason.is_empty());
            assert!(
                ["true", "attached"].contains(&cell.as_str()) || is_refused,
                "{name} on {kernel}: {cell}"
            );
        }
        assert!(cells.iter().any(|cell| !cell.starts_with("needs")), "{name} works nowhere: {cells:?}");
        assert_eq!(cells.len(), kernels.len(), "{name}");
    }
    assert!(table.len() > 70, "{} rows", table.len());
}

/// What a hook takes is known of each kernel, for each hook that works there.
#[test]
fn the_table_names_the_capabilities_of_each_hook() {
    let tables = tables(&page());
    let kernels = kernels(&tables);
    let capabilities = &tables["Capabilities"];
    assert_eq!(capabilities["hook"], kernels);
    for (hook, cells) in tables["Hooks"].iter().filter(|(name, _)| *name != "hook") {
        let works = |cell: &String| !cell.starts_with("needs");
        for (number, kernel) in kernels.iter().enumerate() {
            let stated = capabilities.get(hook).is_some_and(|cells| !cells[number].is_empty());
            assert_eq!(stated, works(&cells[number]), "{hook} on {kernel}");
        }
    }
}
