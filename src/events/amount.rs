//! What a record adds to its entry.

use super::plan::end;
use crate::series::NumberKind;
use crate::spec::{Amount, ValueSpec};

/// What of a record is added.
#[derive(Debug)]
pub(super) enum Added {
    One,
    Number(ValueSpec),
    Observed(ValueSpec, Box<Buckets>),
}

/// What one record adds to its entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Addend {
    /// To the number.
    Integer(u64),
    /// To the number, which is a float.
    Float(f64),
    /// One to this slot, and the number to the sum.
    Slot(usize, u64),
}

impl Added {
    pub(super) fn new(amount: &Amount) -> Self {
        match amount {
            Amount::One => Self::One,
            Amount::Number(value) => Self::Number(*value),
            Amount::Observed { value, bounds } => {
                Self::Observed(*value, Box::new(Buckets::new(bounds, value.number_kind() == NumberKind::I64)))
            }
        }
    }

    /// How far it looks into a record.
    pub(super) fn needs(&self) -> usize {
        match self {
            Self::One => 0,
            Self::Number(value) | Self::Observed(value, _) => end(value),
        }
    }

    /// What a record adds, if that can be read and added.
    pub(super) fn of(&self, record: &[u8]) -> Option<Addend> {
        match self {
            Self::One => Some(Addend::Integer(1)),
            Self::Number(value) => {
                let bits = value.bits_of(record)?;
                match value.number_kind() {
                    NumberKind::U64 => unsigned(bits),
                    NumberKind::I64 => signed(bits),
                    NumberKind::F64 => float(bits),
                }
            }
            Self::Observed(value, buckets) => value.bits_of(record).map(|bits| buckets.addend(bits)),
        }
    }
}

#[inline]
pub(super) fn unsigned(bits: u64) -> Option<Addend> {
    Some(Addend::Integer(bits))
}

/// A counter never falls.
#[inline]
pub(super) fn signed(bits: u64) -> Option<Addend> {
    Some(Addend::Integer(bits)).filter(|_| bits.cast_signed() >= 0)
}

#[inline]
fn float(bits: u64) -> Option<Addend> {
    let number = f64::from_bits(bits);
    Some(Addend::Float(number)).filter(|_| number.is_finite() && number >= 0.0)
}

/// The bounds of a histogram's slots, by how many bits a number has: those of an exponential one are found at once.
#[derive(Debug)]
pub(super) struct Buckets {
    is_signed: bool,
    /// Slots whose bounds are below every number.
    below: usize,
    /// The lowest of the other bounds.
    lowest: u64,
    /// How far each bound is above that.
    distances: Vec<u64>,
    /// How many distances have fewer bits.
    shorter: [usize; 66],
}

impl Buckets {
    /// Of the largest number of each slot, rising; numbers are signed or not.
    fn new(bounds: &[i128], is_signed: bool) -> Self {
        let (least, most) =
            if is_signed { (i64::MIN.into(), i64::MAX.into()) } else { (0, i128::from(u64::MAX)) };
        let below = bounds.partition_point(|bound| *bound < least);
        // No number is above a bound that is above them all.
        let reached = bounds.get(below..).unwrap_or_default();
        let reached = reached.get(..reached.partition_point(|bound| *bound <= most)).unwrap_or_default();
        let lowest = reached.first().copied().unwrap_or(most);
        let distances: Vec<u64> =
            reached.iter().filter_map(|bound| u64::try_from(bound - lowest).ok()).collect();
        let shorter =
            std::array::from_fn(|bits| distances.partition_point(|distance| bit_length(*distance) < bits));
        #[allow(clippy::cast_possible_truncation, reason = "of negative ones the bits are kept")]
        #[allow(clippy::cast_sign_loss, reason = "as above")]
        let lowest = lowest as u64;
        Self { is_signed, below, lowest, distances, shorter }
    }

    /// What a number adds, which is given as its bits.
    #[inline]
    pub(super) fn addend(&self, number: u64) -> Addend {
        Addend::Slot(self.slot(number), number)
    }

    /// The first slot whose bound is not below a number, which is given as its bits.
    #[inline]
    fn slot(&self, number: u64) -> usize {
        let is_above = if self.is_signed {
            number.cast_signed() > self.lowest.cast_signed()
        } else {
            number > self.lowest
        };
        if !is_above {
            return self.below;
        }
        let distance = number.wrapping_sub(self.lowest);
        let bits = bit_length(distance);
        let (from, to) = (self.shorter[bits], self.shorter[bits + 1]);
        let alike = self.distances.get(from..to).unwrap_or_default();
        self.below + from + alike.partition_point(|bound| *bound < distance)
    }
}

/// How many bits a number has.
#[inline]
fn bit_length(number: u64) -> usize {
    (u64::BITS - number.leading_zeros()) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(bounds: &[i128], numbers: &[i128]) {
        for is_signed in [true, false] {
            let buckets = Buckets::new(bounds, is_signed);
            for number in numbers {
                let bits = if is_signed {
                    i64::try_from(*number).ok().map(i64::cast_unsigned)
                } else {
                    u64::try_from(*number).ok()
                };
                let expected = bounds.partition_point(|bound| bound < number);
                if let Some(bits) = bits {
                    assert_eq!(buckets.slot(bits), expected, "{number} of {bounds:?}, signed: {is_signed}");
                }
            }
        }
    }

    #[test]
    fn a_number_is_in_the_first_slot_that_holds_it() {
        let (least, most) = (i128::from(i64::MIN), i128::from(u64::MAX));
        let corners = [least, least + 1, -1, 0, 1, 2, 3, i128::from(i64::MAX), most - 1, most];
        check(&[], &corners);
        check(&corners, &corners);
        check(&[i128::MIN, least - 1, most + 1, i128::MAX], &corners);
        check(&[5, 5, 5], &[4, 5, 6]);
        let powers: Vec<i128> = (0..70).map(|power| 1 << power).collect();
        let around: Vec<i128> =
            powers.iter().flat_map(|power| [power - 1, *power, power + 1, -power]).collect();
        check(&powers, &around);
        let linear: Vec<i128> = (-50..50).map(|step| step * 7).collect();
        check(&linear, &(-360..360).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn slots_are_those_of_a_plain_search(
            mut bounds in prop::collection::vec(prop_oneof![any::<i64>().prop_map(i128::from), -20i128..20, any::<i128>()], 0..20),
            numbers in prop::collection::vec(prop_oneof![any::<i64>().prop_map(i128::from), any::<u64>().prop_map(i128::from), -25i128..25], 0..20),
        ) {
            bounds.sort_unstable();
            check(&bounds, &bounds);
            check(&bounds, &numbers);
        }
    }
}
