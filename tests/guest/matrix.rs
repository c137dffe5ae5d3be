//! What the tests of this machine found out, for the tables of docs/kernels.md: the first process prints it
//! when all of them went well.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write;

use bpftally::elf::{ObjectInfo, SectionKind};

use crate::common::exporter::values_of;
use crate::hooks::said;

const RECORDS: &str = "/tmp/matrix";

/// What stands where the kernel's types are missing.
pub const NO_BTF: &str = "needs CONFIG_DEBUG_INFO_BTF";

/// One cell of a table, by its row; the column is this machine.
pub fn record(table: &str, row: &str, cell: &str) {
    let mut records = OpenOptions::new().create(true).append(true).open(RECORDS).unwrap();
    assert!(![table, row, cell].iter().any(|text| text.contains(['\t', '\n', '|'])), "{table} {row} {cell}");
    writeln!(records, "{table}\t{row}\t{cell}").unwrap();
}

/// Why something is refused, in a few words, from what the exporter says.
pub fn reason(said: &str) -> String {
    let version = |text: &str| -> String {
        text.chars().take_while(|letter| letter.is_ascii_digit() || *letter == '.').collect()
    };
    if let Some((_, rest)) = said.split_once("came with Linux ") {
        return format!("needs {}", version(rest));
    }
    if let Some(option) = said.split_once("(CONFIG_").and_then(|(_, rest)| rest.split_once(')')) {
        return format!("needs CONFIG_{}", option.0);
    }
    if said.contains("the kernel is locked down (") {
        return "locked".to_owned();
    }
    // Enums of decoders are those of the kernel.
    if said.contains("the kernel's types cannot be read") {
        return NO_BTF.to_owned();
    }
    // The message, without where it is and what follows it.
    let message = said.split_once("error[").and_then(|(_, rest)| rest.split_once("]: "));
    let message = message.map_or(said, |(_, message)| message).split("; ").next().unwrap_or_default();
    message.replace(['|', '\n', '\t'], " ").chars().take(120).collect()
}

/// What became of each shipped pair, by a page and the log: `true` with the kinds of hooks that are at work, or why
/// it is not whole.
pub fn pairs(page: &str, log: &str) -> BTreeMap<String, String> {
    let mut verdicts: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (mut labels, value) in values_of(page, "ebpf_exporter_program_verdict") {
        if value == 1.0 {
            let mut take = |name| labels.remove(name).unwrap();
            verdicts.entry(take("config")).or_default().push((take("program"), take("verdict")));
        }
    }
    let loaded = values_of(page, "ebpf_exporter_config_loaded");
    let cell = |pair: &str, is_loaded: bool| {
        let programs = verdicts.get(pair).map_or(&[][..], Vec::as_slice);
        if !is_loaded || programs.iter().any(|(_, verdict)| verdict == "broken") {
            return reason(&said(log, pair));
        }
        let object = std::fs::read(format!("/bpf-objects/{pair}.bpf.o")).unwrap();
        let object = ObjectInfo::parse(&object).unwrap();
        let at_work =
            |name: &str| programs.iter().any(|(found, verdict)| found == name && verdict == "attached");
        let sections = object.programs.iter().filter(|program| at_work(&program.name));
        let kinds: BTreeSet<&str> =
            sections.map(|program| SectionKind::of(&program.section).unwrap().prefix()).collect();
        if kinds.is_empty() {
            // All of them are optional.
            let is_for_btf = said(log, pair).contains("this kernel brings no BTF");
            return if is_for_btf { NO_BTF } else { "nothing to attach to" }.to_owned();
        }
        format!("true ({})", kinds.into_iter().collect::<Vec<_>>().join(", "))
    };
    let pair = |(labels, value): (BTreeMap<String, String>, f64)| {
        let pair = labels["config"].clone();
        let cell = cell(&pair, value == 1.0);
        (pair, cell)
    };
    loaded.into_iter().map(pair).collect()
}
