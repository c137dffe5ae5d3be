//! From the records of a stream to tallies.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Tally;
use super::amount::{Added, Addend, signed, unsigned};
use super::key::Key;
use super::load::Number;
use super::plan::{Keyed, Plan};
use super::slots::{NONE, Slots};
use super::tally::Table;
use crate::series::NumberKind;
use crate::snapshot::{Loss, Losses, Records, Sink};
use crate::spec::EventSpec;

/// Brings the records of a stream to the tallies that have the same conditions and the same key, so that both are looked
/// at once for each record.
#[derive(Debug)]
pub struct TallySink {
    plan: Plan,
    needs: usize,
    members: Vec<Member>,
    slots: Slots,
    /// For keys that do not lie side by side.
    room: Vec<u8>,
}

/// One tally.
#[derive(Debug)]
struct Member {
    added: Added,
    flush: Option<Duration>,
    tally: Arc<Tally>,
    /// The row of each key, by the key's number.
    rows: Vec<u32>,
    /// Which rows these are.
    layout: u64,
}

/// A key whose row nobody knows yet.
const UNKNOWN: u32 = u32::MAX;

/// A key that there was no room for.
const REFUSED: u32 = u32::MAX - 1;

impl TallySink {
    /// One that reads records as a metric wants it.
    #[must_use]
    pub fn new(spec: &EventSpec, tally: Arc<Tally>) -> Self {
        let plan = Plan::new(spec);
        let (needs, slots) = (plan.needs, Slots::default());
        let mut sink = Self { plan, needs, members: Vec::new(), slots, room: Vec::new() };
        sink.add(spec, tally);
        sink
    }

    /// Does the same for another metric, whose conditions and key are the same.
    pub(super) fn add(&mut self, spec: &EventSpec, tally: Arc<Tally>) {
        let added = Added::new(&spec.amount);
        self.needs = self.needs.max(added.needs());
        self.members.push(Member { added, flush: spec.flush, tally, rows: Vec::new(), layout: 0 });
    }
}

impl Sink for TallySink {
    fn needs(&self) -> usize {
        self.needs
    }

    fn record(&mut self, records: &Records, now: Instant, losses: &mut Losses) {
        let Self { plan, members, slots, room, .. } = self;
        if !plan.is_short() {
            members.iter_mut().for_each(|member| member.record_long(plan, room, records, now, losses));
            return;
        }
        if slots.begin(records.len()) {
            members.iter_mut().for_each(|member| member.rows.clear());
        }
        if plan.takes_all_as_one() && !records.is_empty() {
            slots.take_all(records.len());
        } else {
            plan.number(records, slots, losses);
        }
        members.iter_mut().for_each(|member| member.record(plan, slots, records, now, losses));
    }
}

impl Member {
    fn record(&mut self, plan: &Plan, slots: &Slots, records: &Records, now: Instant, losses: &mut Losses) {
        let tally = Arc::clone(&self.tally);
        let (known, mut table) = (Known { plan, slots, tally: &tally }, tally.table());
        table.flush_if_due(self.flush, now);
        if self.layout != table.layout() {
            self.layout = table.layout();
            self.rows.clear();
        }
        if let Added::One = self.added {
            let mut is_refused = false;
            for (slot, count) in slots.met() {
                match known.row(slot, &mut self.rows, &mut table) {
                    Some(row) => table.count(row, count),
                    None => is_refused = true,
                }
            }
            if is_refused {
                self.lose_refused(slots, losses);
            }
            return;
        }
        let mut adder = Adder { rows: &mut self.rows, known, table: &mut table, losses };
        let whole = records.rows().filter(|rows| rows.length >= self.added.needs());
        let number = |value| whole.map(|rows| (rows, Number::new(value, rows.stride)));
        match &self.added {
            Added::Number(value) => match (number(value), value.number_kind()) {
                (Some((rows, number)), NumberKind::U64) => {
                    adder.add(rows.iter().map(|row| number.of(row)), unsigned);
                }
                (Some((rows, number)), NumberKind::I64) => {
                    adder.add(rows.iter().map(|row| number.of(row)), signed);
                }
                _ => adder.add(records.iter(), |record| self.added.of(record)),
            },
            Added::Observed(value, buckets) => match number(value) {
                Some((rows, number)) => {
                    adder.add(rows.iter().map(|row| number.of(row)), |number| Some(buckets.addend(number)));
                }
                None => adder.add(records.iter(), |record| self.added.of(record)),
            },
            Added::One => {}
        }
    }

    /// Records whose keys there was no room for in this batch.
    #[cold]
    fn lose_refused(&self, slots: &Slots, losses: &mut Losses) {
        for (nth, slot) in slots.of_records().iter().enumerate() {
            if self.rows.get(*slot as usize) == Some(&REFUSED) {
                losses.lose(nth, Loss::SeriesLimit);
            }
        }
    }

    /// The same for keys that have no numbers.
    fn record_long(
        &mut self,
        plan: &Plan,
        room: &mut Vec<u8>,
        records: &Records,
        now: Instant,
        losses: &mut Losses,
    ) {
        let mut table = self.tally.table();
        table.flush_if_due(self.flush, now);
        for (nth, record) in records.iter().enumerate() {
            let key = match plan.long(record, room) {
                Keyed::Passes => continue,
                Keyed::Broken => {
                    losses.lose(nth, Loss::Decode);
                    continue;
                }
                Keyed::By(key) => key,
            };
            let Some(addend) = self.added.of(record) else {
                losses.lose(nth, Loss::Decode);
                continue;
            };
            match table.row(Key::Long(key), &self.tally) {
                Some(row) => table.add(row as usize, addend),
                None => losses.lose(nth, Loss::SeriesLimit),
            }
        }
    }
}

/// Adds what each record of a batch adds.
struct Adder<'b> {
    rows: &'b mut Vec<u32>,
    known: Known<'b>,
    table: &'b mut Table,
    losses: &'b mut Losses,
}

impl Adder<'_> {
    /// Takes what is looked at of each record, and what that adds, if it can be added.
    #[inline]
    fn add<T>(&mut self, records: impl Iterator<Item = T>, addend: impl Fn(T) -> Option<Addend>) {
        let mut slots = self.known.slots.of_records().iter();
        for (nth, record) in records.enumerate() {
            let Some(slot) = slots.next() else { break };
            if *slot == NONE {
                continue;
            }
            let Some(addend) = addend(record) else {
                self.losses.lose(nth, Loss::Decode);
                continue;
            };
            match self.known.row(*slot, self.rows, self.table) {
                Some(row) => self.table.add(row, addend),
                None => self.losses.lose(nth, Loss::SeriesLimit),
            }
        }
    }
}

/// What tells the key of a number, and who counts by it.
#[derive(Clone, Copy)]
struct Known<'b> {
    plan: &'b Plan,
    slots: &'b Slots,
    tally: &'b Tally,
}

impl Known<'_> {
    /// The row of the key that has a number; a new one when there is none, or none when there is no room for it.
    #[inline]
    fn row(&self, slot: u32, rows: &mut Vec<u32>, table: &mut Table) -> Option<usize> {
        match rows.get(slot as usize) {
            Some(row) if *row < REFUSED => Some(*row as usize),
            _ => self.look_up(slot, rows, table),
        }
    }

    #[cold]
    #[inline(never)]
    fn look_up(&self, slot: u32, rows: &mut Vec<u32>, table: &mut Table) -> Option<usize> {
        let row = table.row(self.plan.key(self.slots.key(slot)?), self.tally);
        if rows.len() < self.slots.len() {
            rows.resize(self.slots.len(), UNKNOWN);
        }
        if let Some(known) = rows.get_mut(slot as usize) {
            *known = row.unwrap_or(REFUSED);
        }
        row.map(|row| row as usize)
    }
}
