//! Grouping equal label sets, folding histograms, keeping counters monotonic.
//!
//! Label sets are lists of texts, compared as lists: [`LabelSets`] keeps them length-prefixed
//! in one arena. [`Groups`] adds up what has the same labels. A [`Ledger`] remembers what each
//! key of a map last said, so that a counter made from several keys never falls. An [`Admission`]
//! remembers which label sets are published when there are too many.

mod admission;
mod buckets;
mod cut;
mod groups;
mod labels;
mod ledger;

pub use admission::Admission;
pub use buckets::Slot;
pub use cut::{SHORTEST, cut_labels};
pub use groups::Groups;
pub use labels::{LabelSets, Labels, push_label, replace_invalid};
pub use ledger::{Ledger, LedgerShape, Total};

/// A number as it will be printed: integers stay exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// An unsigned integer.
    U64(u64),
    /// A signed integer.
    I64(i64),
    /// A float.
    F64(f64),
}

/// What 64 bits mean, so that columns can be kept flat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NumberKind {
    /// An unsigned integer.
    U64,
    /// A signed integer.
    I64,
    /// A float.
    F64,
}

impl NumberKind {
    /// The number that 64 bits of this kind are.
    #[must_use]
    pub fn number(self, bits: u64) -> Number {
        match self {
            Self::U64 => Number::U64(bits),
            Self::I64 => Number::I64(bits.cast_signed()),
            Self::F64 => Number::F64(f64::from_bits(bits)),
        }
    }
}

impl Number {
    /// Nothing yet: adding to it gives what was added, exactly.
    pub const ZERO: Self = Self::U64(0);

    /// The number as a float, as near as a float comes.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn to_f64(self) -> f64 {
        match self {
            Self::U64(number) => number as f64,
            Self::I64(number) => number as f64,
            Self::F64(number) => number,
        }
    }

    /// The number as a count of events: what cannot be one is the nearest that can.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn to_count(self) -> u64 {
        match self {
            Self::U64(number) => number,
            Self::I64(number) => u64::try_from(number).unwrap_or(0),
            Self::F64(number) => number as u64,
        }
    }

    /// Multiplied; by one it stays as exact as it is.
    #[must_use]
    pub fn scaled(self, scale: f64) -> Self {
        if scale == 1.0 { self } else { Self::F64(self.to_f64() * scale) }
    }

    /// Added up; integers of one kind stay exact and wrap as the kernel's counters do.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::U64(0), number) | (number, Self::U64(0)) => number,
            (Self::U64(left), Self::U64(right)) => Self::U64(left.wrapping_add(right)),
            (Self::I64(left), Self::I64(right)) => Self::I64(left.wrapping_add(right)),
            (left, right) => Self::F64(left.to_f64() + right.to_f64()),
        }
    }
}

/// How slots of a histogram map to bounds.
#[derive(Clone, Debug, PartialEq)]
pub enum BucketKind {
    /// Slot i holds values up to 2^i.
    Exp2 {
        /// First slot.
        min: i64,
        /// Last slot; the sum is one above it.
        max: i64,
    },
    /// Slot 0 holds zeros, slot i values up to 2^(i-1).
    Exp2Zero {
        /// First slot.
        min: i64,
        /// Last slot; the sum is one above it.
        max: i64,
    },
    /// Slot i has the bound i.
    Linear {
        /// First slot.
        min: i64,
        /// Last slot; the sum is one above it.
        max: i64,
    },
    /// Slot i holds values from 2^i to 2^(i+1)-1; the last one holds all that are larger.
    Log2 {
        /// First slot.
        min: i64,
        /// Last slot, which has no bound; the sum is one above it.
        max: i64,
    },
    /// Each key is its own bound; the sum is one above the last.
    Fixed {
        /// Bounds, rising.
        keys: Vec<f64>,
    },
}

/// A histogram's buckets, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets {
    /// How slots map to bounds.
    pub kind: BucketKind,
    /// Scales bounds and sum.
    pub multiplier: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_one_kind_add_exactly() {
        #[track_caller]
        fn check(left: Number, right: Number, sum: Number) {
            assert_eq!(left.plus(right), sum);
            assert_eq!(right.plus(left), sum);
        }
        check(Number::U64(1 << 63), Number::U64(1), Number::U64((1 << 63) + 1));
        check(Number::U64(u64::MAX), Number::U64(2), Number::U64(1));
        check(Number::I64(-5), Number::I64(3), Number::I64(-2));
        check(Number::ZERO, Number::I64(-5), Number::I64(-5));
        check(Number::ZERO, Number::F64(0.5), Number::F64(0.5));
        check(Number::U64(2), Number::I64(-1), Number::F64(1.0));
        check(Number::U64(2), Number::F64(0.5), Number::F64(2.5));
    }

    #[test]
    fn scaling_by_one_keeps_integers() {
        assert_eq!(Number::U64(u64::MAX).scaled(1.0), Number::U64(u64::MAX));
        assert_eq!(Number::I64(-3).scaled(0.5), Number::F64(-1.5));
    }

    #[test]
    fn counts_never_go_below_zero() {
        assert_eq!(Number::I64(-3).to_count(), 0);
        assert_eq!(Number::F64(-0.5).to_count(), 0);
        assert_eq!(Number::F64(2.9).to_count(), 2);
        assert_eq!(Number::U64(u64::MAX).to_count(), u64::MAX);
    }
}
