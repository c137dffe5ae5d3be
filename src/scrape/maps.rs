//! What maps hold, row by row, for people who debug a config.

use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use super::generation::Generation;
use super::memo::Memos;
use super::plan::Contributor;
use super::rows::Row;
use crate::decode::Outcome;
use crate::page::Chunks;
use crate::series::{Labels, Number};
use crate::snapshot::{Limits, Snapshot};

/// Reads every map and writes its keys, what their labels decode to, and their numbers.
pub(super) fn describe(generation: &Arc<Generation>, deadline: Instant, max_bytes: usize) -> Chunks {
    let mut out = Chunks::default();
    for view in generation.views() {
        say(&mut out, format_args!("## Config: {}\n\n", view.config));
        let contributors = generation.families.iter().flat_map(|family| &family.contributors);
        for contributor in contributors.filter(|contributor| contributor.config == view.config) {
            let Some(planned) = generation.sources.get(contributor.source) else { continue };
            say(&mut out, format_args!("### Map: {}", planned.map));
            if planned.map != contributor.metric {
                say(&mut out, format_args!(" (metric {})", contributor.metric));
            }
            say(&mut out, format_args!("\n\n```\n"));
            let limits = Limits { deadline, max_bytes };
            match Snapshot::read(planned.source.as_ref(), &planned.columns, &limits) {
                Ok(snapshot) => rows(contributor, &snapshot, &mut out),
                Err(error) => say(&mut out, format_args!("cannot be read: {error}\n")),
            }
            say(&mut out, format_args!("```\n\n"));
        }
    }
    out
}

fn rows(contributor: &Contributor, snapshot: &Snapshot, out: &mut Chunks) {
    let Some(numbers) = snapshot.numbers(contributor.column) else { return };
    let count = numbers.count.max(1);
    for (key, lanes) in snapshot.keys().zip(numbers.bits.chunks_exact(numbers.lanes.max(1) * count)) {
        for (lane, bits) in (0u16..).zip(lanes.chunks_exact(count)) {
            let row = Row { key, lane: lane.to_ne_bytes() };
            let bytes: Vec<String> = key.iter().map(|byte| format!("{byte:#x}")).collect();
            let text = |bits: &u64| match numbers.kind.number(*bits).scaled(contributor.scale) {
                Number::U64(number) => number.to_string(),
                Number::I64(number) => number.to_string(),
                Number::F64(number) => number.to_string(),
            };
            let numbers: Vec<String> = bits.iter().map(text).collect();
            let labels = labels(contributor, &row);
            say(out, format_args!("[]byte{{{}}} ({labels}) -> {}\n", bytes.join(", "), numbers.join(" ")));
        }
    }
}

/// What a row's labels decode to; for histograms the slot's number comes last.
fn labels(contributor: &Contributor, row: &Row<'_>) -> String {
    let (mut list, mut scratch) = (Vec::new(), Vec::new());
    let decoded = contributor.rows.list(row, &mut list, &mut scratch, &mut Memos::default());
    let slot = contributor.rows.slot(row);
    let mut texts: Vec<_> =
        Labels::new(&list).map(|label| String::from_utf8_lossy(label).into_owned()).collect();
    match (decoded, slot) {
        (Err(error), _) | (_, Err(error)) => format!("error: {error}"),
        (Ok(Outcome::Skip), _) | (_, Ok(None)) => "skipped".to_owned(),
        (Ok(Outcome::Label), Ok(Some(slot))) => {
            if contributor.rows.has_slot() {
                texts.push(slot.to_string());
            }
            format!("labels: {texts:?}")
        }
    }
}

fn say(out: &mut Chunks, text: std::fmt::Arguments<'_>) {
    // Writing to memory cannot fail.
    let _ = out.write_fmt(text);
}
