//! Bases: what the series of a metric had said when its map was replaced by an empty one.
//!
//! A new map knows nothing of what the old one counted, and a series that began anew with it
//! would fall. So what the old ledger published becomes the base of each series, to which the
//! keys of the new map add. It is kept as it was published, so that it is exact whatever the
//! new map holds: another kind of number, another scale, other slots.

use super::{Ledger, LedgerShape};
use crate::series::{Number, NumberKind};

/// Below this a float tells all whole numbers apart.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl LedgerShape {
    /// Whether the series of both are the same.
    #[must_use]
    pub fn has_series_of(&self, other: &Self) -> bool {
        self.series == other.series && self.shown() == other.shown()
    }

    /// How many slots of a series are shown.
    fn shown(&self) -> usize {
        self.total.map_or(self.stride, |total| total.slot)
    }
}

impl Ledger {
    /// Takes what the series of another ledger said, multiplied as it published them, for a base.
    /// Founded series are published from now on whether a key speaks for them or not, when the
    /// other one would publish them; all others only when something else speaks for them.
    ///
    /// Nothing is taken of a ledger whose series mean something else.
    pub fn take_over(&mut self, other: &Self, scale: impl Fn(usize) -> f64, founded: bool) {
        if !self.shape.has_series_of(&other.shape) {
            return;
        }
        // As long as nothing was told, times count as in the other one.
        self.epoch = if self.epoch == 0 { other.epoch.max(1) } else { self.epoch };
        self.forgotten += other.forgotten;
        // A sum that is nowhere adds nothing: what is known of it is in the base alone.
        let scale = |slot| Some(scale(slot)).filter(|scale| !scale.is_nan()).unwrap_or(0.0);
        let shown = self.shape.shown();
        let mut numbers = vec![Number::ZERO; shown];
        for (set, life) in (0u32..).zip(&other.lives).filter(|(_, life)| life.held != 0) {
            numbers.fill(Number::ZERO);
            other.add_series(set, &mut numbers, &scale);
            let index = self.place(other.sets.list(set)) as usize;
            let held = self.epoch.saturating_sub(other.epoch - life.held).max(1);
            if let Some(own) = self.lives.get_mut(index) {
                own.held = own.held.max(held);
                own.founded |= founded && other.is_published(life);
            }
            self.base.resize(self.lives.len() * shown, Number::ZERO);
            let cells = self.base.get_mut(index * shown..(index + 1) * shown).unwrap_or_default();
            for (cell, number) in cells.iter_mut().zip(&numbers) {
                *cell = cell.plus(number.in_kind(self.shape.kind));
            }
        }
        self.forget_the_silent();
    }

    /// Multiplies every base, for a metric whose scale changed over a map that goes on.
    pub fn scale_base(&mut self, factor: f64) {
        for number in &mut self.base {
            *number = number.scaled(factor);
        }
    }

    /// The base of a series, as published.
    pub(super) fn base_of(&self, set: u32) -> &[Number] {
        let shown = self.shape.shown();
        self.base.get(set as usize * shown..(set as usize + 1) * shown).unwrap_or_default()
    }

    /// Makes room for the bases of all series, where there are bases.
    pub(super) fn fit_base(&mut self) {
        if !self.base.is_empty() {
            self.base.resize(self.lives.len() * self.shape.shown(), Number::ZERO);
        }
    }

    pub(super) fn clear_base(&mut self, set: u32) {
        let shown = self.shape.shown();
        if let Some(cells) = self.base.get_mut(set as usize * shown..(set as usize + 1) * shown) {
            cells.fill(Number::ZERO);
        }
    }
}

impl Number {
    /// As a number of a kind, where that is the same number: so that it adds to others exactly.
    fn in_kind(self, kind: NumberKind) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
        let whole = |number: f64| (number.abs() < EXACT && number.fract() == 0.0).then_some(number as i64);
        let other = match (self, kind) {
            (Self::U64(number), NumberKind::I64) => i64::try_from(number).ok().map(Self::I64),
            (Self::I64(number), NumberKind::U64) => u64::try_from(number).ok().map(Self::U64),
            (Self::F64(number), NumberKind::I64) => whole(number).map(Self::I64),
            (Self::F64(number), NumberKind::U64) => {
                whole(number).and_then(|number| u64::try_from(number).ok()).map(Self::U64)
            }
            _ => None,
        };
        other.unwrap_or(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::ledger::{Limits, Total};
    use crate::series::{Groups, Number};
    use Number::{F64, I64, U64};

    fn shape(keys: &str, kind: NumberKind) -> LedgerShape {
        LedgerShape {
            key_size: 1,
            stride: 1,
            kind,
            total: None,
            keys: keys.to_owned(),
            series: "a".to_owned(),
        }
    }

    fn counts(keys: &str) -> Ledger {
        Ledger::new(shape(keys, NumberKind::U64))
    }

    /// What a pass of `(key, label, slot, bits)` publishes.
    fn pass_slots(
        ledger: &mut Ledger,
        rows: &[(u8, &str, usize, u64)],
        scale: f64,
    ) -> Vec<(String, Vec<Number>)> {
        ledger.begin();
        for (key, label, slot, bits) in rows {
            ledger.add(&[*key], label.as_bytes(), *slot, *bits);
        }
        let mut groups = Groups::new(ledger.shape().shown());
        ledger.finish(&mut groups, |_| scale);
        let text = |list: &[u8]| String::from_utf8(list.to_vec()).unwrap();
        let mut all: Vec<_> = groups.iter().map(|(list, cells)| (text(list), cells.to_vec())).collect();
        all.sort_by(|left, right| left.0.cmp(&right.0));
        all
    }

    #[track_caller]
    fn check(ledger: &mut Ledger, rows: &[(u8, &str, u64)], expected: &[(&str, Number)]) {
        let rows: Vec<_> = rows.iter().map(|(key, label, bits)| (*key, *label, 0, *bits)).collect();
        let expected: Vec<_> =
            expected.iter().map(|(label, number)| ((*label).to_owned(), vec![*number])).collect();
        assert_eq!(pass_slots(ledger, &rows, 1.0), expected);
    }

    #[test]
    fn founded_series_stay_and_keys_add_to_them() {
        let mut old = counts("old");
        check(&mut old, &[(1, "x", 10), (2, "x", 5), (3, "y", 7)], &[("x", U64(15)), ("y", U64(7))]);
        let mut new = counts("new");
        new.take_over(&old, |_| 1.0, true);
        check(&mut new, &[], &[("x", U64(15)), ("y", U64(7))]);
        check(&mut new, &[(1, "x", 1), (9, "z", 2)], &[("x", U64(16)), ("y", U64(7)), ("z", U64(2))]);
        check(&mut new, &[(1, "x", 1)], &[("x", U64(16)), ("y", U64(7))]);
    }

    #[test]
    fn several_bases_add_up() {
        let mut ledger = counts("first");
        let mut expected = 0;
        for turn in 1..=50u64 {
            expected += turn;
            check(&mut ledger, &[(1, "x", turn)], &[("x", U64(expected))]);
            let mut next = counts("next");
            next.take_over(&ledger, |_| 1.0, true);
            ledger = next;
        }
        check(&mut ledger, &[], &[("x", U64(expected))]);
        assert_eq!((ledger.lives.len(), ledger.base.len()), (1, 1));
    }

    #[test]
    fn what_was_not_published_is_not_founded_and_not_lost() {
        let mut old = counts("old");
        check(&mut old, &[(1, "x", 10), (2, "y", 5)], &[("x", U64(10)), ("y", U64(5))]);
        check(&mut old, &[(2, "y", 5)], &[("y", U64(5))]);
        let mut new = counts("new");
        new.take_over(&old, |_| 1.0, true);
        check(&mut new, &[], &[("y", U64(5))]);
        check(&mut new, &[(1, "x", 1)], &[("x", U64(11)), ("y", U64(5))]);
    }

    #[test]
    fn an_heir_speaks_for_what_it_inherits() {
        let mut gone = counts("gone");
        check(&mut gone, &[(1, "x", 10), (2, "y", 5)], &[("x", U64(10)), ("y", U64(5))]);
        let mut heir = counts("heir");
        check(&mut heir, &[(7, "x", 1)], &[("x", U64(1))]);
        heir.take_over(&gone, |_| 1.0, false);
        check(&mut heir, &[(7, "x", 2)], &[("x", U64(12))]);
        // Also for others beside it, when they publish the series.
        let mut groups = Groups::new(1);
        groups.add(b"y", 0, U64(100));
        heir.join(&mut groups, |_| 1.0);
        assert_eq!(groups.iter().collect::<Vec<_>>(), [(&b"y"[..], &[U64(105)][..])]);
        check(&mut heir, &[(8, "y", 3)], &[("y", U64(8))]);
    }

    #[test]
    fn series_of_another_meaning_are_not_taken() {
        let mut old = counts("old");
        check(&mut old, &[(1, "x", 10)], &[("x", U64(10))]);
        for other in [
            LedgerShape { series: "b".to_owned(), ..shape("new", NumberKind::U64) },
            LedgerShape { stride: 2, ..shape("new", NumberKind::U64) },
        ] {
            let mut new = Ledger::new(other);
            new.take_over(&old, |_| 1.0, true);
            assert_eq!(pass_slots(&mut new, &[], 1.0), []);
        }
    }

    #[test]
    fn a_base_is_what_was_published_whatever_the_new_number_is() {
        #[track_caller]
        fn check_kinds(old: Number, scale: f64, new: Number, expected: Number) {
            let (kind, bits) = parts(old);
            let mut ledger = Ledger::new(shape("old", kind));
            pass_slots(&mut ledger, &[(1, "x", 0, bits)], scale);
            let (kind, bits) = parts(new);
            let mut next = Ledger::new(shape("new", kind));
            next.take_over(&ledger, |_| scale, true);
            let found = pass_slots(&mut next, &[(1, "x", 0, bits)], 1.0);
            assert_eq!(found, [("x".to_owned(), vec![expected])]);
        }
        fn parts(number: Number) -> (NumberKind, u64) {
            match number {
                U64(bits) => (NumberKind::U64, bits),
                I64(number) => (NumberKind::I64, number.cast_unsigned()),
                F64(number) => (NumberKind::F64, number.to_bits()),
            }
        }
        check_kinds(U64(u64::MAX - 5), 1.0, U64(5), U64(u64::MAX));
        check_kinds(U64(7), 1.0, I64(5), I64(12));
        check_kinds(I64(7), 1.0, U64(5), U64(12));
        check_kinds(I64(-7), 1.0, U64(5), F64(-2.0));
        check_kinds(F64(7.0), 1.0, U64(5), U64(12));
        check_kinds(F64(-7.0), 1.0, I64(5), I64(-2));
        check_kinds(F64(7.5), 1.0, U64(5), F64(12.5));
        check_kinds(U64(7), 1.0, F64(0.25), F64(7.25));
        check_kinds(U64(7), 0.5, U64(5), F64(8.5));
        check_kinds(U64(8), 0.5, U64(5), U64(9));
    }

    #[test]
    fn the_last_part_of_a_total_keeps_what_the_others_missed() {
        let total = Some(Total { slot: 3, parts: 2 });
        let with = LedgerShape { stride: 4, total, ..shape("with", NumberKind::U64) };
        let without = LedgerShape { stride: 3, ..shape("without", NumberKind::U64) };
        let mut ledger = Ledger::new(with.clone());
        let expected = |numbers: [u64; 3]| vec![("x".to_owned(), numbers.map(U64).to_vec())];
        let rows = [(0, "x", 0, 5), (1, "x", 1, 1), (2, "x", 2, 70), (3, "x", 3, 10)];
        assert_eq!(pass_slots(&mut ledger, &rows, 1.0), expected([5, 5, 70]));
        for (shape, numbers) in [(without, [10, 6, 140]), (with, [15, 11, 210])] {
            let mut next = Ledger::new(shape.clone());
            next.take_over(&ledger, |_| 1.0, true);
            let rows = if shape.total.is_some() { &rows[..] } else { &rows[..3] };
            assert_eq!(pass_slots(&mut next, rows, 1.0), expected(numbers));
            ledger = next;
        }
    }

    #[test]
    fn a_sum_that_nobody_knows_adds_nothing() {
        let mut old = counts("old");
        pass_slots(&mut old, &[(1, "x", 0, 9)], f64::NAN);
        let mut new = counts("new");
        new.take_over(&old, |_| f64::NAN, true);
        check(&mut new, &[(1, "x", 4)], &[("x", U64(4))]);
    }

    #[test]
    fn a_key_that_leaves_a_founded_series_brings_only_what_is_new() {
        let mut old = counts("old");
        check(&mut old, &[(1, "x", 10)], &[("x", U64(10))]);
        let mut new = counts("new");
        new.take_over(&old, |_| 1.0, true);
        check(&mut new, &[(1, "x", 3)], &[("x", U64(13))]);
        check(&mut new, &[(1, "y", 5)], &[("x", U64(13)), ("y", U64(2))]);
        check(&mut new, &[(1, "x", 6)], &[("x", U64(14))]);
    }

    #[test]
    fn the_longest_silent_founded_series_are_forgotten_and_counted() {
        let limits = Limits { keys: 100, dead: 100, founded: 2 };
        let bounded = |keys: &str| Ledger::bounded(shape(keys, NumberKind::U64), limits);
        let mut ledger = bounded("0");
        for (turn, label) in ["a", "b", "c", "d"].into_iter().enumerate() {
            pass_slots(&mut ledger, &[(1, label, 0, 1)], 1.0);
            let mut next = bounded(&turn.to_string());
            next.take_over(&ledger, |_| 1.0, true);
            ledger = next;
        }
        // In the pass in which `d` speaks, three others are silent.
        check(&mut ledger, &[(1, "d", 1)], &[("b", U64(1)), ("c", U64(1)), ("d", U64(2))]);
        assert_eq!((ledger.untracked(), ledger.sets.len()), (1, 3));
        check(&mut ledger, &[], &[("c", U64(1)), ("d", U64(2))]);
        assert_eq!((ledger.untracked(), ledger.sets.len()), (2, 2));
        let mut next = bounded("next");
        next.take_over(&ledger, |_| 1.0, true);
        assert_eq!(next.untracked(), 2);
        // What was forgotten begins anew.
        check(&mut next, &[(1, "a", 5)], &[("a", U64(5)), ("c", U64(1)), ("d", U64(2))]);
    }

    #[test]
    fn a_base_can_be_multiplied() {
        let mut old = counts("old");
        check(&mut old, &[(1, "x", 10)], &[("x", U64(10))]);
        let mut new = counts("new");
        new.take_over(&old, |_| 1.0, true);
        new.scale_base(0.25);
        check(&mut new, &[(1, "x", 1)], &[("x", F64(3.5))]);
    }
}
