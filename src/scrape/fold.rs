//! The grouped path: rows that may share labels become one series.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Settings;
use super::lent::LentGroups;
use super::limit::Gate;
use super::memo::Memos;
use super::plan::{Contributor, FamilyPlan};
use super::reading::SourceRead;
use super::rows::Row;
use super::skip_cache::SkipCache;
use super::state::{Memory, States, Tally, lock};
use crate::decode::{DecodeError, Outcome};
use crate::series::{Buckets, Groups, Number, Slot};
use crate::snapshot::{Numbers, Snapshot};
use crate::spec::MetricKind;

/// What phase one made of a family.
pub(super) enum Folded {
    /// Rows stream into the page as they are.
    Direct,
    /// Label sets with their numbers.
    Groups(LentGroups),
    /// A source failed: there is nothing true to say.
    LeftOut,
}

/// Decides the path of a family, and goes the grouped one.
pub(super) fn fold(
    plan: &FamilyPlan,
    sources: &[SourceRead],
    states: &States,
    settings: &Settings,
    spent: &mut BTreeMap<String, Duration>,
) -> Folded {
    let snapshot = |contributor: &Contributor| sources.get(contributor.source)?.snapshot.as_ref();
    for contributor in &plan.contributors {
        let Some(snapshot) = snapshot(contributor) else { return Folded::LeftOut };
        states.metric(&contributor.identity).memory().follow(snapshot.statistics().epoch);
    }
    if let Some(contributor) = plan.direct()
        && let Some(snapshot) = snapshot(contributor)
        && stays_direct(plan, contributor, snapshot, states)
    {
        return Folded::Direct;
    }
    // A series can live without a key of this config: by another's, or because it began at zero.
    let outlives = plan.contributors.len() > 1 || plan.contributors.iter().any(|one| !one.zeros.is_empty());
    let accumulates = plan.kind != MetricKind::Gauge;
    let stride = plan.buckets().map_or(1, |buckets| buckets.len() + 2);
    // One ledger tells each of its series once.
    let is_indexed = !accumulates || outlives;
    let mut groups = LentGroups::take(&plan.spare, stride, is_indexed);
    for list in plan.contributors.iter().flat_map(|contributor| &contributor.zeros) {
        groups.group(list);
    }
    for contributor in &plan.contributors {
        let began = Instant::now();
        if let Some(snapshot) = snapshot(contributor) {
            group(plan, contributor, snapshot, states, settings, &mut groups);
        }
        *spent.entry(contributor.config.clone()).or_default() += began.elapsed();
    }
    if outlives && accumulates {
        for contributor in &plan.contributors {
            let state = states.metric(&contributor.identity);
            let mut memory = state.memory();
            let scale = slot_scale(plan, contributor);
            memory.ledger(&contributor.ledger).join(&mut groups, scale);
        }
    }
    Folded::Groups(groups)
}

/// What multiplies the number of a slot.
pub(super) fn slot_scale(plan: &FamilyPlan, contributor: &Contributor) -> impl Fn(usize) -> f64 + use<> {
    let nowhere = contributor.array.as_ref().is_some_and(|array| array.sum.is_none());
    // A sum that the value does not have is not zero: nobody knows it.
    let multiplier = |buckets: &Buckets| if nowhere { f64::NAN } else { buckets.multiplier };
    let sum = plan.buckets().map(|buckets| (buckets.len() + 1, multiplier(buckets)));
    let scale = contributor.scale;
    move |slot| match sum {
        Some((sum, multiplier)) if slot == sum => multiplier,
        Some(_) => 1.0,
        None => scale,
    }
}

/// Whether all keys of a snapshot give distinct label sets, and nothing is to be added to what
/// they say. Once one did not, a counter's rows are grouped for good: what it says when it is merged
/// must not depend on which keys are left.
fn stays_direct(plan: &FamilyPlan, contributor: &Contributor, snapshot: &Snapshot, states: &States) -> bool {
    let state = states.metric(&contributor.identity);
    let mut memory = state.memory();
    if memory.remembers(&contributor.ledger) {
        return false;
    }
    let Some(form) = contributor.form else { return true };
    let has_form = snapshot.has_form(form);
    memory.grouped = plan.kind != MetricKind::Gauge && (memory.grouped || !has_form);
    has_form && !memory.grouped
}

fn group(
    plan: &FamilyPlan,
    contributor: &Contributor,
    snapshot: &Snapshot,
    states: &States,
    settings: &Settings,
    groups: &mut Groups,
) {
    let Some(numbers) = snapshot.numbers(contributor.column) else { return };
    let state = states.metric(&contributor.identity);
    let mut memory = state.memory();
    let mut skipped = lock(&contributor.skipped);
    let mut pass = Pass::new(plan, contributor, settings, &mut skipped);
    if plan.kind == MetricKind::Gauge {
        groups.reserve(memory.groups.0, memory.groups.1);
        pass.rows(snapshot, numbers.lanes, &mut memory, never, |_, _, nth, taken| {
            if let Some((list, slot)) = taken {
                groups.add(
                    list,
                    slot,
                    numbers
                        .kind
                        .number(numbers.bits.get(nth).copied().unwrap_or(0))
                        .scaled(contributor.scale),
                );
            }
        });
        memory.groups = (groups.len(), groups.bytes());
    } else {
        pass.tell(snapshot, numbers, &mut memory);
        memory.ledger(&contributor.ledger).finish(groups, slot_scale(plan, contributor));
    }
    state.count(&pass.tally);
}

/// Tells the ledger of a metric what its source holds, of which nothing is published as it is.
pub(super) fn remember(
    plan: &FamilyPlan,
    contributor: &Contributor,
    snapshot: &Snapshot,
    memory: &mut Memory,
    settings: &Settings,
) {
    let Some(numbers) = snapshot.numbers(contributor.column) else { return };
    let mut skipped = lock(&contributor.skipped);
    Pass::new(plan, contributor, settings, &mut skipped).tell(snapshot, numbers, memory);
    memory.ledger(&contributor.ledger).close();
}

/// Tells the ledger of a metric what entries held that have just been deleted, where their series go
/// on without them.
pub(super) fn bequeath(
    plan: &FamilyPlan,
    contributor: &Contributor,
    snapshot: &Snapshot,
    states: &States,
    settings: &Settings,
) {
    if plan.kind == MetricKind::Gauge {
        return;
    }
    if let Some(contributor) = plan.direct()
        && stays_direct(plan, contributor, snapshot, states)
    {
        return;
    }
    let Some(numbers) = snapshot.numbers(contributor.column) else { return };
    let state = states.metric(&contributor.identity);
    let mut memory = state.memory();
    memory.ledger(&contributor.ledger).hear_last_words(true);
    let mut skipped = lock(&contributor.skipped);
    let mut pass = Pass::new(plan, contributor, settings, &mut skipped);
    pass.gate = pass.gate.for_last_words();
    pass.tell_rows(snapshot, numbers, &mut memory);
    memory.ledger(&contributor.ledger).hear_last_words(false);
}

/// The labels and the slot of a row; none when it is there and cannot be published.
type Taken<'a> = Option<(&'a [u8], usize)>;

/// One walk over the rows of a snapshot.
pub(super) struct Pass<'a> {
    contributor: &'a Contributor,
    buckets: Option<&'a Buckets>,
    skip_cache_size: usize,
    gate: Gate<'a>,
    skipped: &'a mut SkipCache,
    tally: Tally,
    list: Vec<u8>,
    scratch: Vec<u8>,
    long_key: Vec<u8>,
}

impl<'a> Pass<'a> {
    fn new(
        plan: &'a FamilyPlan,
        contributor: &'a Contributor,
        settings: &Settings,
        skipped: &'a mut SkipCache,
    ) -> Self {
        Self {
            contributor,
            buckets: plan.buckets(),
            gate: Gate::new(contributor.limit.as_ref(), &contributor.zeros, settings.limit_grace),
            skip_cache_size: if contributor.rows.is_volatile() { 0 } else { settings.skip_cache_size },
            skipped,
            tally: Tally::default(),
            list: Vec::new(),
            scratch: Vec::new(),
            long_key: Vec::new(),
        }
    }

    /// Tells the ledger what every row says.
    fn tell(&mut self, snapshot: &Snapshot, numbers: Numbers<'_>, memory: &mut Memory) {
        memory.ledger(&self.contributor.ledger).begin();
        self.tell_rows(snapshot, numbers, memory);
    }

    fn tell_rows(&mut self, snapshot: &Snapshot, numbers: Numbers<'_>, memory: &mut Memory) {
        if let Some(array) = &self.contributor.array {
            return array.tell(self, snapshot, numbers, memory);
        }
        let bits = |nth: usize| numbers.bits.get(nth).copied().unwrap_or(0);
        // A limit decides on label sets: it has to see them.
        let is_told = self.contributor.limit.is_none() && memory.is_told_by(&self.contributor.rows);
        let again = |memory: &mut Memory, key: &[u8], nth: usize| {
            is_told && memory.ledger.as_mut().is_some_and(|ledger| ledger.again(key, bits(nth)))
        };
        self.rows(snapshot, numbers.lanes, memory, again, |memory, key, nth, taken| {
            match (&mut memory.ledger, taken) {
                (Some(ledger), Some((list, slot))) => ledger.add(key, list, slot, bits(nth)),
                (Some(ledger), None) => ledger.hold(key),
                (None, _) => {}
            }
        });
    }

    /// How many cells of a label set are shown.
    pub(super) fn stride(&self) -> usize {
        self.buckets.map_or(1, |buckets| buckets.len() + 2)
    }

    /// Hands every lane of every row to `take`, with its key, with its place among all lanes, and
    /// with what is to be published of it; but for those that `again` takes as they are.
    pub(super) fn rows(
        &mut self,
        snapshot: &Snapshot,
        lanes: usize,
        memory: &mut Memory,
        mut again: impl FnMut(&mut Memory, &[u8], usize) -> bool,
        mut take: impl FnMut(&mut Memory, &[u8], usize, Taken<'_>),
    ) {
        let split = self.contributor.rows.is_split();
        let mut long_key = std::mem::take(&mut self.long_key);
        let mut memos = std::mem::take(&mut memory.memos);
        memos.begin(&self.contributor.rows, Instant::now());
        let gate = self.gate;
        gate.begin(memory);
        for (row, key) in snapshot.keys().enumerate() {
            if self.skip_cache_size > 0 && self.skipped.contains(key) {
                self.tally.skipped += lanes as u64;
                continue;
            }
            for (lane, nth) in (0u16..).zip(row * lanes..(row + 1) * lanes) {
                let row = Row { key, lane: lane.to_ne_bytes() };
                let told = if split {
                    long_key.clear();
                    long_key.extend_from_slice(key);
                    long_key.extend_from_slice(&row.lane);
                    long_key.as_slice()
                } else {
                    key
                };
                if again(memory, told, nth) {
                    continue;
                }
                let decoded = self.decode(&row, &mut memos);
                let slot = decoded.unwrap_or_default();
                match decoded {
                    Ok(Some(_)) => {}
                    Ok(None) => self.tally.skipped += 1,
                    Err(error) => self.tally.error(error),
                }
                if !split && decoded == Ok(None) {
                    self.skipped.insert(key, self.skip_cache_size);
                }
                let slot =
                    slot.filter(|_| gate.takes(memory, &mut self.list, &mut self.scratch, &mut self.tally));
                take(memory, told, nth, slot.map(|slot| (self.list.as_slice(), slot)));
            }
        }
        gate.finish(memory);
        self.long_key = long_key;
        memory.memos = memos;
    }

    /// The slot of a row, its labels in `self.list`; none for one that is not to be published.
    fn decode(&mut self, row: &Row<'_>, memos: &mut Memos) -> Result<Option<usize>, DecodeError> {
        let Some(number) = self.contributor.rows.slot(row)? else { return Ok(None) };
        self.list.clear();
        if self.contributor.rows.list(row, &mut self.list, &mut self.scratch, memos)? == Outcome::Skip {
            return Ok(None);
        }
        Ok(Some(self.buckets.map_or(0, |buckets| match buckets.slot_of(number) {
            Slot::Bucket(index) => index,
            Slot::Infinite => buckets.len(),
            Slot::Sum => buckets.len() + 1,
        })))
    }
}

/// For rows of which none can be taken as it is.
pub(super) fn never(_: &mut Memory, _: &[u8], _: usize) -> bool {
    false
}

/// The counts and the sum of one histogram out of its numbers.
pub(super) fn histogram(cells: &[Number]) -> (impl Iterator<Item = u64>, Number) {
    let (sum, counts) = cells.split_last().map_or((Number::ZERO, cells), |(sum, counts)| (*sum, counts));
    (counts.iter().map(|count| count.to_count()), sum)
}
