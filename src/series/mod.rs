//! Grouping equal label sets, folding histograms, keeping counters monotonic.

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
