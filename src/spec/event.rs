//! Metrics that are made of events, and losses that programs count themselves.

use std::time::Duration;

use super::{Bits, ValueSpec};

/// How the records of a buffer become entries: bytes of their members to a number, or to the slots of a histogram.
/// Together they are the map that the metric is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSpec {
    /// The buffer's map.
    pub buffer: String,
    /// Which records count: those that fulfil all of these.
    pub conditions: Vec<Condition>,
    /// Which bytes of a record are the key, side by side. Without any the key is four zeros.
    pub key: Vec<KeyPart>,
    /// What is added.
    pub amount: Amount,
    /// After how long everything is forgotten, again and again.
    pub flush: Option<Duration>,
    /// Names and types of the members in question. Entries of equal meaning go on over a reload.
    pub meaning: String,
}

/// Some bytes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPart {
    /// As they are.
    Bytes {
        /// First byte.
        offset: usize,
        /// How many.
        size: usize,
    },
    /// A bit-field, which becomes a number of 8 bytes in host order.
    Bits {
        /// First byte.
        offset: usize,
        /// How many bytes it touches.
        size: usize,
        /// Which bits of them.
        bits: Bits,
    },
}

impl KeyPart {
    /// Bytes that it has in the key.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::Bytes { size, .. } => *size,
            Self::Bits { .. } => size_of::<u64>(),
        }
    }
}

/// A number of a record must be one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Where the number is; no float.
    pub value: ValueSpec,
    /// What it may be.
    pub any_of: Vec<i128>,
}

/// What an event adds to its entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Amount {
    /// One.
    One,
    /// A number of the record.
    Number(ValueSpec),
    /// One to a slot of a histogram, and the number itself to its sum.
    Observed {
        /// Where the number is; no float.
        value: ValueSpec,
        /// The largest number of each slot, rising; the last slot has none.
        bounds: Vec<i128>,
    },
}

/// Losses that programs count themselves, by the convention of `struct event_losses`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LossSpec {
    /// What they are losses of: mostly a buffer.
    pub source: String,
    /// The map that holds them, or the section of the variable.
    pub map: String,
    /// The first byte.
    pub offset: usize,
    /// Numbers of 8 bytes that an element has.
    pub words: usize,
    /// How many elements there are, which are added up.
    pub elements: usize,
    /// Each reason with its number in an element.
    pub reasons: Vec<(String, usize)>,
}

impl LossSpec {
    /// Whether they lie in a loaded map; libbpf puts the object's name before a section's.
    #[must_use]
    pub fn is_in(&self, map: &str) -> bool {
        if self.map.starts_with('.') { map.ends_with(&self.map) } else { map == self.map }
    }
}
