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
            let index = self.place(other.sets.list(set));
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
