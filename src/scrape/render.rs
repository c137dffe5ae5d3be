//! Phase two: from a reading to a page.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::fold::{Folded, histogram};
use super::plan::{Contributor, FamilyPlan};
use super::reading::Reading;
use super::rows::Row;
use super::state::{Identity, States, Tally};
use crate::decode::Outcome;
use crate::page::{Chunks, Family, TextPage};
use crate::series::{Groups, Labels};
use crate::snapshot::{Numbers, Snapshot};

/// The users' families, rendered.
pub(super) struct Rendered {
    pub(super) chunks: Chunks,
    /// Where each family begins.
    pub(super) marks: Vec<(String, usize)>,
    /// Series of each metric.
    pub(super) series: BTreeMap<Identity, u64>,
    /// Time spent for each config.
    pub(super) spent: BTreeMap<String, Duration>,
}

/// Renders all families in the order of their names.
pub(super) fn render(reading: &Reading, states: &States, chunks: Chunks) -> Rendered {
    let mut page = TextPage::over(chunks);
    let mut rendered = Rendered {
        chunks: Chunks::default(),
        marks: Vec::with_capacity(reading.families.len()),
        series: BTreeMap::new(),
        spent: BTreeMap::new(),
    };
    for (plan, folded) in reading.generation.families.iter().zip(&reading.families) {
        let (began, waited) = (Instant::now(), page.waited());
        rendered.marks.push((plan.name.clone(), page.len()));
        let Some(first) = plan.contributors.first() else { continue };
        let series = match folded {
            Folded::LeftOut => 0,
            Folded::Groups(groups) => grouped(plan, groups, &mut page),
            Folded::Direct => {
                let snapshot = reading.sources.get(first.source).and_then(|source| source.snapshot.as_ref());
                snapshot.map_or(0, |snapshot| direct(&plan.frame, first, snapshot, states, &mut page))
            }
        };
        for contributor in &plan.contributors {
            rendered.series.insert(contributor.identity.clone(), series);
        }
        *rendered.spent.entry(first.config.clone()).or_default() +=
            began.elapsed().saturating_sub(page.waited().saturating_sub(waited));
    }
    rendered.chunks = page.finish();
    rendered
}

/// Writes groups; the number of series.
fn grouped(plan: &FamilyPlan, groups: &Groups, page: &mut TextPage) -> u64 {
    if groups.is_empty() {
        return 0;
    }
    page.begin_family(&plan.frame);
    let buckets = plan.buckets();
    for (list, cells) in groups.iter() {
        let labels = Labels::new(list);
        if buckets.is_some() {
            let (counts, sum) = histogram(cells);
            page.histogram(&plan.frame, labels, counts, sum);
        } else if let Some(number) = cells.first() {
            page.row(&plan.frame, labels, *number);
        }
        if page.is_unwanted() {
            break;
        }
    }
    // A histogram has its bounds, the infinite one, the sum and the count.
    groups.len() as u64 * buckets.map_or(1, |buckets| buckets.len() as u64 + 3)
}

/// Streams rows into the page: no look-up, no copy, no allocation; the number of series.
fn direct(
    frame: &Family,
    contributor: &Contributor,
    snapshot: &Snapshot,
    states: &States,
    page: &mut TextPage,
) -> u64 {
    let Some(numbers) = snapshot.numbers(contributor.column) else { return 0 };
    let mut tally = Tally::default();
    page.begin_family(frame);
    let series = rows(frame, contributor, snapshot, numbers, page, &mut tally);
    if series == 0 {
        page.abandon_family();
    }
    states.metric(&contributor.identity).count(&tally);
    series
}

fn rows(
    frame: &Family,
    contributor: &Contributor,
    snapshot: &Snapshot,
    numbers: Numbers<'_>,
    page: &mut TextPage,
    tally: &mut Tally,
) -> u64 {
    let mut scratch = Vec::new();
    let mut series = 0;
    for (key, lanes) in snapshot.keys().zip(numbers.bits.chunks_exact(numbers.lanes.max(1))) {
        if page.is_unwanted() {
            break;
        }
        for (lane, bits) in (0u16..).zip(lanes) {
            let row = Row { key, lane: lane.to_ne_bytes() };
            page.begin_row(frame);
            match contributor.rows.write(&row, page, frame, &mut scratch) {
                Ok(Outcome::Label) => {
                    page.end_row(frame, numbers.kind.number(*bits).scaled(contributor.scale));
                    series += 1;
                    continue;
                }
                Ok(Outcome::Skip) => tally.skipped += 1,
                Err(error) => tally.error(error),
            }
            page.abandon_row();
        }
    }
    series
}
