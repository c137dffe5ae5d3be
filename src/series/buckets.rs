//! Which slot of a histogram's map counts in which bucket.

use super::{BucketKind, Buckets};

/// What a slot's number is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Events of the bucket with this index.
    Bucket(usize),
    /// Events above every bound.
    Infinite,
    /// The sum of what was observed.
    Sum,
}

impl Buckets {
    /// The upper bounds, rising, without the infinite one.
    #[must_use]
    pub fn bounds(&self) -> Vec<f64> {
        let multiplier = self.multiplier;
        match &self.kind {
            BucketKind::Exp2 { min, max } => (*min..=*max).map(|slot| power(slot) * multiplier).collect(),
            BucketKind::Exp2Zero { min, max } => {
                let bound = |slot| if slot == 0 { 0.0 } else { power(slot - 1) };
                (*min..=*max).map(|slot| bound(slot) * multiplier).collect()
            }
            // The bound is the largest whole number of the slot: 2^(i+1) is in the next one already.
            BucketKind::Log2 { min, max } => {
                (*min..*max).map(|slot| (power(slot.saturating_add(1)) - 1.0) * multiplier).collect()
            }
            #[allow(clippy::cast_precision_loss)]
            BucketKind::Linear { min, max } => (*min..=*max).map(|slot| slot as f64 * multiplier).collect(),
            BucketKind::Fixed { keys } => keys.iter().map(|key| key * multiplier).collect(),
        }
    }

    /// How many bounds there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.kind {
            BucketKind::Exp2 { min, max }
            | BucketKind::Exp2Zero { min, max }
            | BucketKind::Linear { min, max } => {
                max.checked_sub(*min).and_then(|last| usize::try_from(last).ok()).map_or(0, |last| last + 1)
            }
            BucketKind::Log2 { min, max } => {
                max.checked_sub(*min).and_then(|count| usize::try_from(count).ok()).unwrap_or(0)
            }
            BucketKind::Fixed { keys } => keys.len(),
        }
    }

    /// Whether there are no bounds: everything is infinite.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a slot's number is for.
    ///
    /// A slot below the range holds small values, so it counts in the first bucket; one above
    /// the sum's slot holds large ones. Nothing is dropped, so the count is the events' number.
    #[must_use]
    pub fn slot_of(&self, key: u64) -> Slot {
        match &self.kind {
            BucketKind::Exp2 { min, max }
            | BucketKind::Exp2Zero { min, max }
            | BucketKind::Linear { min, max } => ranged(i128::from(key), i128::from(*min), i128::from(*max)),
            // The last slot is the infinite one, and the sum stands above it.
            BucketKind::Log2 { min, max } if i128::from(key) <= i128::from(*max) => {
                match ranged(i128::from(key), i128::from(*min), i128::from(*max) - 1) {
                    Slot::Sum => Slot::Infinite,
                    slot => slot,
                }
            }
            BucketKind::Log2 { min, max } => ranged(i128::from(key), i128::from(*min), i128::from(*max)),
            BucketKind::Fixed { keys } => fixed(key, keys),
        }
    }

    /// What the slot at an index of an array counts: an array holds counts alone, no sum, and
    /// what has no bound of its own is above all of them.
    #[must_use]
    pub fn slot_at(&self, index: usize) -> Slot {
        let slot = match &self.kind {
            BucketKind::Fixed { keys } if index < keys.len() => Slot::Bucket(index),
            BucketKind::Fixed { .. } => Slot::Infinite,
            _ => self.slot_of(index as u64),
        };
        if slot == Slot::Sum { Slot::Infinite } else { slot }
    }
}

/// Two to the power of a slot.
fn power(slot: i64) -> f64 {
    let exponent = slot.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
    2f64.powi(i32::try_from(exponent).unwrap_or(i32::MAX))
}

fn ranged(key: i128, min: i128, max: i128) -> Slot {
    if key == max + 1 {
        Slot::Sum
    } else if key > max {
        Slot::Infinite
    } else {
        Slot::Bucket(usize::try_from(key - min).unwrap_or(0))
    }
}

#[allow(clippy::cast_precision_loss)]
fn fixed(key: u64, keys: &[f64]) -> Slot {
    let value = key as f64;
    let index = keys.partition_point(|bound| *bound < value);
    match keys.last() {
        Some(_) if index < keys.len() => Slot::Bucket(index),
        Some(last) if *last + 1.0 == value => Slot::Sum,
        _ => Slot::Infinite,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exp2(min: i64, max: i64) -> Buckets {
        Buckets { kind: BucketKind::Exp2 { min, max }, multiplier: 1.0 }
    }

    #[test]
    fn bounds_follow_the_kind_and_the_multiplier() {
        #[track_caller]
        fn check(kind: BucketKind, multiplier: f64, bounds: &[f64]) {
            let buckets = Buckets { kind, multiplier };
            assert_eq!(buckets.bounds(), bounds);
            assert_eq!(buckets.len(), bounds.len());
        }
        check(BucketKind::Exp2 { min: 0, max: 3 }, 1.0, &[1.0, 2.0, 4.0, 8.0]);
        check(BucketKind::Exp2 { min: 2, max: 4 }, 1.0, &[4.0, 8.0, 16.0]);
        check(BucketKind::Exp2 { min: -1, max: 0 }, 1.0, &[0.5, 1.0]);
        check(BucketKind::Exp2 { min: 0, max: 1 }, 1e-6, &[1e-6, 2e-6]);
        check(BucketKind::Exp2Zero { min: 0, max: 4 }, 1.0, &[0.0, 1.0, 2.0, 4.0, 8.0]);
        check(BucketKind::Exp2Zero { min: 1, max: 2 }, 10.0, &[10.0, 20.0]);
        check(BucketKind::Linear { min: 0, max: 3 }, 50.0, &[0.0, 50.0, 100.0, 150.0]);
        check(BucketKind::Fixed { keys: vec![100.0, 1000.0] }, 1e-6, &[100.0 * 1e-6, 1000.0 * 1e-6]);
        check(BucketKind::Log2 { min: 0, max: 4 }, 1.0, &[1.0, 3.0, 7.0, 15.0]);
        check(BucketKind::Log2 { min: 2, max: 4 }, 0.5, &[3.5, 7.5]);
        check(BucketKind::Log2 { min: 3, max: 1 }, 1.0, &[]);
        check(BucketKind::Exp2 { min: 3, max: 1 }, 1.0, &[]);
        check(BucketKind::Fixed { keys: vec![] }, 1.0, &[]);
    }

    #[test]
    fn the_28_bounds_of_block_latency_end_where_the_reference_ends() {
        let bounds = Buckets { kind: BucketKind::Exp2 { min: 0, max: 27 }, multiplier: 1e-6 }.bounds();
        assert_eq!((bounds.len(), bounds[0], bounds[27]), (28, 1e-6, 134.217_728));
    }

    #[test]
    fn every_slot_counts_somewhere() {
        #[track_caller]
        fn check(buckets: &Buckets, key: u64, slot: Slot) {
            assert_eq!(buckets.slot_of(key), slot, "{buckets:?} {key}");
        }
        let ranged = exp2(2, 4);
        check(&ranged, 0, Slot::Bucket(0));
        check(&ranged, 2, Slot::Bucket(0));
        check(&ranged, 3, Slot::Bucket(1));
        check(&ranged, 4, Slot::Bucket(2));
        check(&ranged, 5, Slot::Sum);
        check(&ranged, 6, Slot::Infinite);
        check(&ranged, u64::MAX, Slot::Infinite);
        check(&exp2(-3, 1), 0, Slot::Bucket(3));
        check(&exp2(0, i64::MAX), u64::MAX, Slot::Infinite);
        check(&exp2(0, i64::MAX), i64::MAX as u64 + 1, Slot::Sum);
        let log2 = Buckets { kind: BucketKind::Log2 { min: 1, max: 4 }, multiplier: 1.0 };
        check(&log2, 0, Slot::Bucket(0));
        check(&log2, 1, Slot::Bucket(0));
        check(&log2, 3, Slot::Bucket(2));
        check(&log2, 4, Slot::Infinite);
        check(&log2, 5, Slot::Sum);
        check(&log2, 6, Slot::Infinite);
        let zero = Buckets { kind: BucketKind::Exp2Zero { min: 0, max: 4 }, multiplier: 1.0 };
        check(&zero, 0, Slot::Bucket(0));
        check(&zero, 5, Slot::Sum);
        let fixed = Buckets { kind: BucketKind::Fixed { keys: vec![100.0, 1000.0] }, multiplier: 1e-6 };
        check(&fixed, 0, Slot::Bucket(0));
        check(&fixed, 100, Slot::Bucket(0));
        check(&fixed, 101, Slot::Bucket(1));
        check(&fixed, 1000, Slot::Bucket(1));
        check(&fixed, 1001, Slot::Sum);
        check(&fixed, 1002, Slot::Infinite);
        let fraction = Buckets { kind: BucketKind::Fixed { keys: vec![0.5, 2.5] }, multiplier: 1.0 };
        check(&fraction, 0, Slot::Bucket(0));
        check(&fraction, 1, Slot::Bucket(1));
        check(&fraction, 3, Slot::Infinite);
        check(&Buckets { kind: BucketKind::Fixed { keys: vec![] }, multiplier: 1.0 }, 1, Slot::Infinite);
    }

    #[test]
    fn an_array_holds_no_sum() {
        #[track_caller]
        fn check(kind: BucketKind, expected: &[Option<usize>]) {
            let buckets = Buckets { kind, multiplier: 1.0 };
            let slots: Vec<_> = (0..expected.len())
                .map(|index| match buckets.slot_at(index) {
                    Slot::Bucket(bucket) => Some(bucket),
                    Slot::Infinite => None,
                    Slot::Sum => panic!("slot {index} of {buckets:?} is a sum"),
                })
                .collect();
            assert_eq!(slots, expected, "{buckets:?}");
        }
        check(BucketKind::Exp2 { min: 1, max: 2 }, &[Some(0), Some(0), Some(1), None, None]);
        check(BucketKind::Log2 { min: 0, max: 2 }, &[Some(0), Some(1), None, None, None]);
        check(BucketKind::Linear { min: 0, max: 1 }, &[Some(0), Some(1), None, None]);
        check(BucketKind::Exp2Zero { min: 0, max: 1 }, &[Some(0), Some(1), None]);
        check(BucketKind::Fixed { keys: vec![10.0, 20.0] }, &[Some(0), Some(1), None, None]);
    }
}
