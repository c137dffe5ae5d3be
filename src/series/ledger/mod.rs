//! What each key last said, so that a series made from several keys never falls.
//!
//! Prometheus reads a falling counter as a reset and invents a burst. A series that adds up
//! several keys would fall whenever one of them is deleted or evicted, so a key's last value
//! then moves into the *retired* sum of its series and stays there. A key that comes back lower
//! was deleted and made again: what it said before is retired too.
//!
//! A series is published as long as one of its keys lives. Its retired sum is remembered a
//! while longer, so that it goes on where it stopped when a key returns.
//!
//! When the map itself is replaced by an empty one, what its series said becomes their *base*
//! (`base.rs`).

mod base;
mod keys;
mod outside;

use keys::{Entry, Keys};
use outside::Kept;

use super::{Groups, LabelSets, Number, NumberKind};

/// Bytes that one ledger may use to remember keys; keys beyond are shown as they are.
const KEY_BYTES: usize = 64 * 1024 * 1024;
/// Series without a living key that one ledger remembers.
const DEAD_SERIES: usize = 10_000;
/// Series that are published for their base alone.
const FOUNDED_SERIES: usize = 100_000;

/// What a ledger's entries mean; when it changes, the old entries mean nothing.
///
/// Its series may still mean the same when only its keys do not: then they can become a base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerShape {
    /// Bytes of a key.
    pub key_size: usize,
    /// Slots of a series.
    pub stride: usize,
    /// The kind of every number.
    pub kind: NumberKind,
    /// The slot that says what others should add up to, when there is one.
    pub total: Option<Total>,
    /// What gives keys their meaning: the map, the place of the number, how slots are filled.
    pub keys: String,
    /// What gives series their meaning: label names and bounds.
    pub series: String,
}

/// A slot that says what others should add up to: what they miss is counted in the last of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// The slot; it is behind those that are shown.
    pub slot: usize,
    /// How many slots, from the first, it is the total of.
    pub parts: usize,
}

/// The memory of one metric of one config.
#[derive(Debug)]
pub struct Ledger {
    shape: LedgerShape,
    epoch: u64,
    keys: Keys,
    sets: LabelSets,
    /// By series: when it was made and when it last had a key; 0 is never.
    lives: Vec<Life>,
    /// By series and slot, in the shape's kind.
    retired: Vec<u64>,
    current: Vec<u64>,
    /// By series and shown slot, as published; empty as long as there is none.
    base: Vec<Number>,
    untracked: u64,
    /// Founded series that there was no room for, ever.
    forgotten: u64,
    limits: Limits,
    /// The series that never falls, whatever is remembered of its keys.
    kept: Option<Kept>,
    /// Whether what is told are the last words of keys that have just been deleted.
    is_last: bool,
}

/// How much one ledger remembers.
#[derive(Clone, Copy, Debug)]
struct Limits {
    keys: usize,
    dead: usize,
    founded: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Life {
    born: u64,
    /// When a key last spoke for it.
    seen: u64,
    /// When a key last counted for it, speaking or not.
    held: u64,
    /// Whether it is published although no key speaks for it: its base does.
    founded: bool,
}

impl Ledger {
    /// An empty memory.
    #[must_use]
    pub fn new(shape: LedgerShape) -> Self {
        let keys = KEY_BYTES / Keys::cost(shape.key_size);
        Self::bounded(shape, Limits { keys, dead: DEAD_SERIES, founded: FOUNDED_SERIES })
    }

    fn bounded(shape: LedgerShape, limits: Limits) -> Self {
        Self {
            keys: Keys::new(shape.key_size),
            shape,
            epoch: 0,
            sets: LabelSets::default(),
            lives: Vec::new(),
            retired: Vec::new(),
            current: Vec::new(),
            base: Vec::new(),
            untracked: 0,
            forgotten: 0,
            limits,
            kept: None,
            is_last: false,
        }
    }

    /// What its entries mean.
    #[must_use]
    pub fn shape(&self) -> &LedgerShape {
        &self.shape
    }

    /// Keys of the last pass that there was no room to remember, whose series may fall, and
    /// founded series that were forgotten.
    #[must_use]
    pub fn untracked(&self) -> u64 {
        self.untracked + self.forgotten
    }

    /// Begins a pass over all rows of a read.
    pub fn begin(&mut self) {
        self.epoch += 1;
        self.untracked = 0;
        self.keys.begin();
        self.current.fill(0);
    }

    /// Tells what a key says in this pass: the slot of a label set, and the bits of its number.
    pub fn add(&mut self, key: &[u8], list: &[u8], slot: usize, bits: u64) {
        if slot < self.shape.stride && key.len() == self.keys.size() {
            let series = self.speak(list);
            self.add_to(series, key, slot, bits);
        }
    }

    /// The number of a label set that keys speak for in this pass.
    pub fn speak(&mut self, list: &[u8]) -> u32 {
        let series = self.place(list);
        // Between two passes nobody speaks for a series.
        if !self.is_last {
            self.mark(series);
        }
        series
    }

    /// Tells what a key says, for a label set that keys speak for in this pass.
    pub fn add_to(&mut self, series: u32, key: &[u8], slot: usize, bits: u64) {
        let Ok(place) = u32::try_from(slot) else { return };
        if slot >= self.shape.stride || key.len() != self.keys.size() {
            return;
        }
        if self.is_last {
            return self.last_word(key, series, place, bits);
        }
        let contribution = match self.keys.find(key) {
            Some(index) => self.update(index, series, place, bits),
            None => {
                if self.keys.len() < self.limits.keys {
                    self.keys.insert(key, Entry::new(series, place, bits));
                } else {
                    self.untracked += 1;
                }
                bits
            }
        };
        let cell = self.cell(series, place);
        add(self.shape.kind, &mut self.current, cell, contribution);
    }

    /// Tells what a key says that counts where it counted in the last pass, because its labels
    /// cannot have changed. False when it is not known, so that its labels have to be found.
    #[inline]
    pub fn again(&mut self, key: &[u8], bits: u64) -> bool {
        if self.is_last || key.len() != self.keys.size() || self.keys.len() == 0 {
            return false;
        }
        let Some(index) = self.keys.find(key) else { return false };
        let Some(entry) = self.keys.get(index) else { return false };
        let (series, slot) = (entry.series, entry.slot);
        self.mark(series);
        let contribution = self.update(index, series, slot, bits);
        let cell = self.cell(series, slot);
        add(self.shape.kind, &mut self.current, cell, contribution);
        true
    }

    /// Tells that a key is there although nothing can be said of it in this pass: what it said
    /// before goes on counting where it counted, and is not counted again when it speaks.
    pub fn hold(&mut self, key: &[u8]) {
        if self.is_last {
            return;
        }
        let index = if key.len() == self.keys.size() { self.keys.find(key) } else { None };
        let Some(entry) = index.and_then(|index| self.keys.meet(index)) else { return };
        let (series, slot, last, base) = (entry.series, entry.slot, entry.last, entry.base);
        let (kind, cell) = (self.shape.kind, self.cell(series, slot));
        add(kind, &mut self.current, cell, minus(kind, last, base));
        if let Some(life) = self.lives.get_mut(series as usize) {
            life.held = self.epoch;
        }
    }

    fn cell(&self, series: u32, slot: u32) -> usize {
        series as usize * self.shape.stride + slot as usize
    }

    fn mark(&mut self, series: u32) {
        if let Some(life) = self.lives.get_mut(series as usize) {
            life.seen = self.epoch;
            life.held = self.epoch;
        }
    }

    /// Ends a pass: retires what was not seen and adds every living series to `groups`.
    pub fn finish(&mut self, groups: &mut Groups, scale: impl Fn(usize) -> f64) {
        self.close();
        let published = self.lives.iter().filter(|life| self.is_published(life)).count();
        groups.reserve(published, self.sets.bytes());
        for (set, life) in (0u32..).zip(&self.lives) {
            if self.is_published(life) {
                self.add_series(set, groups.group(self.sets.list(set)), &scale);
            }
        }
    }

    /// Ends a pass of which nothing is published: retires what was not seen.
    pub fn close(&mut self) {
        self.retire_vanished();
        self.forget_the_silent();
        self.hold_up();
    }

    fn is_published(&self, life: &Life) -> bool {
        life.seen == self.epoch || life.founded
    }

    /// Adds what is remembered of series without a speaking key to those of `groups`, which
    /// live because another config speaks for them, or because they were there from the start: they must not fall.
    pub fn join(&self, groups: &mut Groups, scale: impl Fn(usize) -> f64) {
        for (set, life) in (0u32..).zip(&self.lives) {
            if !self.is_published(life)
                && life.held != 0
                && let Some(group) = groups.known(self.sets.list(set))
            {
                self.add_series(set, group, &scale);
            }
        }
    }

    fn add_series(&self, set: u32, group: &mut [Number], scale: &impl Fn(usize) -> f64) {
        let (kind, start) = (self.shape.kind, set as usize * self.shape.stride);
        let cells = start..start + self.shape.stride;
        let now = self.current.get(cells.clone()).unwrap_or_default();
        let past = self.retired.get(cells).unwrap_or_default();
        for (slot, ((total, now), past)) in group.iter_mut().zip(now).zip(past).enumerate() {
            let number = kind.number(plus(kind, *now, *past));
            *total = total.plus(number.scaled(scale(slot)));
        }
        if let Some(total) = self.shape.total {
            let number = |slot: usize| {
                kind.number(plus(
                    kind,
                    now.get(slot).copied().unwrap_or(0),
                    past.get(slot).copied().unwrap_or(0),
                ))
            };
            let parts: u64 = (0..total.parts).fold(0, |sum, slot| sum.wrapping_add(number(slot).to_count()));
            let missing = number(total.slot).to_count().saturating_sub(parts);
            if let Some(last) = total.parts.checked_sub(1).and_then(|last| group.get_mut(last)) {
                *last = last.plus(Number::U64(missing).scaled(scale(total.parts - 1)));
            }
        }
        for (total, base) in group.iter_mut().zip(self.base_of(set)) {
            *total = total.plus(*base);
        }
    }

    /// The place of a series, which is born when it is not there.
    fn place(&mut self, list: &[u8]) -> u32 {
        let (set, fresh) = self.sets.intern(list);
        let index = set as usize;
        if self.lives.len() <= index {
            let series = self.sets.capacity();
            self.lives.resize(series, Life::default());
            self.retired.resize(series * self.shape.stride, 0);
            self.current.resize(series * self.shape.stride, 0);
            self.fit_base();
        }
        if fresh && let Some(life) = self.lives.get_mut(index) {
            life.born = self.epoch;
        }
        set
    }

    /// A known key spoke: what its number adds to the cell that it counts in now.
    #[inline]
    fn update(&mut self, index: u32, series: u32, slot: u32, bits: u64) -> u64 {
        let kind = self.shape.kind;
        // The same key twice in one pass: the first word counts.
        let Some(entry) = self.keys.meet(index) else { return 0 };
        let fell = less(kind, bits, entry.last);
        let moved = (series, slot) != (entry.series, entry.slot);
        if fell || moved {
            let cell = entry.series as usize * self.shape.stride + entry.slot as usize;
            add(kind, &mut self.retired, cell, minus(kind, entry.last, entry.base));
            let life = |series: u32| self.lives.get(series as usize);
            let newborn = life(series).is_some_and(|life| life.born == self.epoch);
            let stays = life(entry.series).is_some_and(|life| life.founded);
            // A key that moved to a series which was there before brings only what is new:
            // the rest was counted where it came from, and would look like a burst. It does too
            // when it left a series that stays on the page with all that it brought there.
            entry.base = if fell || (newborn && !stays) { 0 } else { entry.last };
            (entry.series, entry.slot) = (series, slot);
        }
        entry.last = bits;
        minus(kind, bits, entry.base)
    }

    fn retire_vanished(&mut self) {
        let (kind, stride, retired) = (self.shape.kind, self.shape.stride, &mut self.retired);
        self.keys.retain_met(|entry| {
            let cell = entry.series as usize * stride + entry.slot as usize;
            add(kind, retired, cell, minus(kind, entry.last, entry.base));
        });
    }

    /// Bounds what is remembered of series without keys: the longest silent go first.
    fn forget_the_silent(&mut self) {
        self.forget(self.limits.dead, |life| !life.founded);
        if !self.base.is_empty() {
            self.forgotten += self.forget(self.limits.founded, |life| life.founded);
        }
    }

    /// Forgets series of a kind that are silent and more than so many; how many they were.
    fn forget(&mut self, limit: usize, is_of_kind: impl Fn(&Life) -> bool) -> u64 {
        let epoch = self.epoch;
        let silent = |life: &Life| life.held != epoch && life.held != 0 && is_of_kind(life);
        let count = self.lives.iter().filter(|life| silent(life)).count();
        if count <= limit {
            return 0;
        }
        let mut order: Vec<(u64, u32)> = (0u32..)
            .zip(&self.lives)
            .filter(|(_, life)| silent(life))
            .map(|(set, life)| (life.held, set))
            .collect();
        order.sort_unstable();
        order.truncate(count - limit);
        for (_, set) in &order {
            self.sets.remove(*set);
            if let Some(life) = self.lives.get_mut(*set as usize) {
                *life = Life::default();
            }
            let start = *set as usize * self.shape.stride;
            if let Some(cells) = self.retired.get_mut(start..start + self.shape.stride) {
                cells.fill(0);
            }
            self.clear_base(*set);
        }
        order.len() as u64
    }
}

fn add(kind: NumberKind, cells: &mut [u64], cell: usize, bits: u64) {
    if let Some(place) = cells.get_mut(cell) {
        *place = plus(kind, *place, bits);
    }
}

fn plus(kind: NumberKind, left: u64, right: u64) -> u64 {
    match kind {
        NumberKind::U64 | NumberKind::I64 => left.wrapping_add(right),
        NumberKind::F64 => (f64::from_bits(left) + f64::from_bits(right)).to_bits(),
    }
}

fn minus(kind: NumberKind, left: u64, right: u64) -> u64 {
    match kind {
        NumberKind::U64 | NumberKind::I64 => left.wrapping_sub(right),
        NumberKind::F64 => (f64::from_bits(left) - f64::from_bits(right)).to_bits(),
    }
}

fn less(kind: NumberKind, left: u64, right: u64) -> bool {
    match kind {
        NumberKind::U64 => left < right,
        NumberKind::I64 => left.cast_signed() < right.cast_signed(),
        NumberKind::F64 => f64::from_bits(left) < f64::from_bits(right),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::series::Number;

    pub(super) fn ledger(key_limit: usize, dead_limit: usize) -> Ledger {
        let shape = LedgerShape {
            key_size: 1,
            stride: 1,
            kind: NumberKind::U64,
            total: None,
            keys: String::new(),
            series: String::new(),
        };
        Ledger::bounded(shape, Limits { keys: key_limit, dead: dead_limit, founded: 100 })
    }

    /// One pass of `(key, label, value)`.
    pub(super) fn pass(ledger: &mut Ledger, rows: &[(u8, &str, u64)]) -> BTreeMap<String, u64> {
        ledger.begin();
        for (key, label, value) in rows {
            ledger.add(&[*key], label.as_bytes(), 0, *value);
        }
        finish(ledger)
    }

    pub(super) fn finish(ledger: &mut Ledger) -> BTreeMap<String, u64> {
        let mut groups = Groups::new(1);
        ledger.finish(&mut groups, |_| 1.0);
        groups
            .iter()
            .map(|(list, cells)| (String::from_utf8(list.to_vec()).unwrap(), cells[0].to_count()))
            .collect()
    }

    pub(super) fn series<const N: usize>(all: [(&str, u64); N]) -> BTreeMap<String, u64> {
        all.into_iter().map(|(label, value)| (label.to_owned(), value)).collect()
    }

    #[test]
    fn a_vanished_key_stays_in_the_sum() {
        let mut ledger = ledger(100, 100);
        assert_eq!(pass(&mut ledger, &[(1, "x", 10), (2, "x", 5)]), series([("x", 15)]));
        assert_eq!(pass(&mut ledger, &[(1, "x", 12)]), series([("x", 17)]));
        assert_eq!(pass(&mut ledger, &[(1, "x", 12), (2, "x", 1)]), series([("x", 18)]));
    }

    #[test]
    fn a_key_that_comes_back_lower_was_made_again() {
        let mut ledger = ledger(100, 100);
        pass(&mut ledger, &[(1, "x", 10), (2, "x", 5)]);
        assert_eq!(pass(&mut ledger, &[(1, "x", 3), (2, "x", 5)]), series([("x", 18)]));
        assert_eq!(pass(&mut ledger, &[(1, "x", 4), (2, "x", 5)]), series([("x", 19)]));
    }

    #[test]
    fn a_series_goes_with_its_last_key_and_returns_where_it_stopped() {
        let mut ledger = ledger(100, 100);
        pass(&mut ledger, &[(1, "x", 10)]);
        assert_eq!(pass(&mut ledger, &[]), series([]));
        assert_eq!(pass(&mut ledger, &[(2, "x", 1)]), series([("x", 11)]));
    }

    #[test]
    fn a_key_whose_label_changes_is_not_counted_twice() {
        let mut ledger = ledger(100, 100);
        pass(&mut ledger, &[(1, "a", 10), (2, "a", 1), (3, "b", 7)]);
        // To a series that was there: only what is new.
        assert_eq!(
            pass(&mut ledger, &[(1, "b", 12), (2, "a", 1), (3, "b", 7)]),
            series([("a", 11), ("b", 9)])
        );
        // To a new series: the whole number, which is what its map says.
        assert_eq!(
            pass(&mut ledger, &[(1, "c", 12), (2, "a", 1), (3, "b", 7)]),
            series([("a", 11), ("b", 9), ("c", 12)])
        );
        // And back: again only what is new.
        assert_eq!(
            pass(&mut ledger, &[(1, "a", 13), (2, "a", 1), (3, "b", 7)]),
            series([("a", 12), ("b", 9)])
        );
    }

    #[test]
    fn a_key_that_cannot_speak_for_a_while_is_not_counted_twice() {
        let mut ledger = ledger(100, 0);
        pass(&mut ledger, &[(1, "x", 10), (2, "x", 5)]);
        for (rows, held, expected) in [
            (&[(2, "x", 6)][..], Some(1), series([("x", 16)])),
            (&[], Some(1), series([])),
            (&[(1, "x", 12)], None, series([("x", 18)])),
        ] {
            ledger.begin();
            for (key, label, value) in rows {
                ledger.add(&[*key], label.as_bytes(), 0, *value);
            }
            if let Some(held) = held {
                ledger.hold(&[held]);
            }
            assert_eq!(finish(&mut ledger), expected);
        }
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_and_shown_as_it_is() {
        let mut ledger = ledger(1, 100);
        assert_eq!(
            pass(&mut ledger, &[(1, "x", 10), (2, "x", 5), (3, "y", 1)]),
            series([("x", 15), ("y", 1)])
        );
        assert_eq!(ledger.untracked(), 2);
        assert_eq!(pass(&mut ledger, &[(1, "x", 10)]), series([("x", 10)]));
        assert_eq!(ledger.untracked(), 0);
    }

    #[test]
    fn the_longest_dead_series_are_forgotten_first() {
        let mut ledger = ledger(100, 1);
        pass(&mut ledger, &[(1, "a", 10), (2, "b", 10)]);
        pass(&mut ledger, &[(2, "b", 10)]);
        pass(&mut ledger, &[]);
        assert_eq!(pass(&mut ledger, &[(1, "a", 1), (2, "b", 1)]), series([("a", 1), ("b", 11)]));
        assert_eq!(ledger.sets.len(), 2);
    }

    #[test]
    fn a_key_twice_in_one_pass_counts_once() {
        let mut ledger = ledger(100, 100);
        pass(&mut ledger, &[(1, "x", 10)]);
        assert_eq!(pass(&mut ledger, &[(1, "x", 10), (1, "x", 10)]), series([("x", 10)]));
    }

    #[test]
    fn a_pass_with_nothing_in_it_frees_the_keys() {
        let mut ledger = ledger(100, 100);
        for turn in 0..50u8 {
            pass(&mut ledger, &[(turn, "x", 1)]);
        }
        assert_eq!((ledger.keys.capacity(), ledger.keys.len()), (2, 1));
    }

    #[test]
    fn signed_and_float_numbers_keep_their_kind() {
        for kind in [NumberKind::I64, NumberKind::F64] {
            let bits = |number: i32| match kind {
                NumberKind::F64 => f64::from(number).to_bits(),
                _ => i64::from(number).cast_unsigned(),
            };
            let mut ledger = Ledger::new(LedgerShape { kind, ..ledger(100, 100).shape });
            for rows in [&[(1u8, 10), (2, -4)][..], &[(1, 12)]] {
                ledger.begin();
                for (key, number) in rows {
                    ledger.add(&[*key], b"", 0, bits(*number));
                }
                ledger.finish(&mut Groups::new(1), |_| 1.0);
            }
            ledger.begin();
            ledger.add(&[1], b"", 0, bits(13));
            let mut groups = Groups::new(1);
            ledger.finish(&mut groups, |_| 1.0);
            let (_, cells) = groups.iter().next().unwrap();
            assert_eq!(cells, [kind.number(bits(9))]);
            assert!(!matches!(cells[0], Number::U64(_)));
        }
    }

    /// Slots 0 and 1, a sum, and the total of the first two.
    #[test]
    fn what_the_parts_of_a_total_miss_counts_in_the_last_of_them() {
        #[track_caller]
        fn check(ledger: &mut Ledger, rows: &[(u8, usize, u64)], expected: [u64; 3]) {
            ledger.begin();
            for (key, slot, number) in rows {
                ledger.add(&[*key], b"", *slot, *number);
            }
            let mut groups = Groups::new(3);
            ledger.finish(&mut groups, |_| 1.0);
            let (_, cells) = groups.iter().next().unwrap();
            assert_eq!(cells.iter().map(|cell| cell.to_count()).collect::<Vec<_>>(), expected);
        }
        let total = Some(Total { slot: 3, parts: 2 });
        let mut ledger = Ledger::new(LedgerShape { stride: 4, total, ..ledger(100, 100).shape });
        check(&mut ledger, &[(0, 0, 5), (1, 1, 1), (2, 2, 70), (3, 3, 10)], [5, 5, 70]);
        // A slot that was counted before its total says more than it.
        check(&mut ledger, &[(0, 0, 15), (1, 1, 1), (2, 2, 80), (3, 3, 15)], [15, 1, 80]);
        // Made again: what was said before stays in both.
        check(&mut ledger, &[(0, 0, 1), (3, 3, 4)], [16, 3, 80]);
    }

    proptest::proptest! {
        /// Whatever appears, grows, vanishes or is made again: no series that is there falls.
        #[test]
        fn no_series_ever_falls(
            passes in proptest::collection::vec(
                proptest::collection::btree_map(0u8..12, (0u8..3, 0u64..50), 0..12), 1..30),
        ) {
            let mut ledger = ledger(1000, 1000);
            let mut highest: BTreeMap<String, u64> = BTreeMap::new();
            for rows in passes {
                let rows: Vec<_> = rows
                    .into_iter()
                    .map(|(key, (label, value))| (key, ["a", "b", "c"][usize::from(label)], value))
                    .collect();
                for (label, value) in pass(&mut ledger, &rows) {
                    let before = highest.entry(label).or_default();
                    proptest::prop_assert!(value >= *before);
                    *before = value;
                }
            }
        }
    }
}
