//! Metrics that are made of events, and losses that programs count themselves.

use std::time::Duration;

use super::{Bits, ValueSpec};
use crate::decode::Canonical;

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
    /// Entries that are kept at the most, where fewer than there is memory for are enough.
    pub most: Option<usize>,
    /// Whether what comes when there is no room is counted together, in one more entry. Keys have one more byte
    /// then, which is 1 for that one alone.
    pub rest: bool,
    /// What is added.
    pub amount: Amount,
    /// After how long everything is forgotten, again and again.
    pub flush: Option<Duration>,
    /// Names and types of the members in question. Entries of equal meaning go on over a reload.
    pub meaning: String,
}

/// Entries that are kept of one metric, if they are small enough.
const MAX_ENTRIES: usize = 65_536;

/// Bytes of all entries of one metric, but for the fewest that there is always room for.
const MAX_BYTES: usize = 16 << 20;
const FEWEST: usize = 64;

impl EventSpec {
    /// Bytes of a key.
    #[must_use]
    pub fn key_size(&self) -> usize {
        let parts: usize = self.key.iter().map(KeyPart::width).sum();
        usize::from(self.rest) + if self.key.is_empty() { NO_LABELS.len() } else { parts }
    }

    /// Numbers of 8 bytes that an entry has: one, or slots and their sum.
    #[must_use]
    pub fn words(&self) -> usize {
        match &self.amount {
            Amount::One | Amount::Number(_) => 1,
            Amount::Observed { bounds, .. } => bounds.len() + 2,
        }
    }

    /// How many entries are kept, but for that of the rest.
    #[must_use]
    pub fn max_entries(&self) -> usize {
        let room = MAX_BYTES / (self.key_size() + self.words() * size_of::<u64>());
        let most = room.clamp(FEWEST, MAX_ENTRIES);
        self.most.map_or(most, |enough| enough.clamp(1, most))
    }

    /// The key of the rest, where there is one.
    #[must_use]
    pub fn rest_key(&self) -> Option<Vec<u8>> {
        let mut key = vec![0; self.key_size()];
        *key.last_mut().filter(|_| self.rest)? = REST;
        Some(key)
    }
}

/// The key of a metric without labels, as arrays with one entry have it.
pub const NO_LABELS: [u8; 4] = [0; 4];

/// The last byte of the key of the rest.
pub const REST: u8 = 1;

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
    /// In the form that all have which mean the same.
    Text {
        /// First byte.
        offset: usize,
        /// How many.
        size: usize,
        /// Which form.
        form: Canonical,
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
            Self::Bytes { size, .. } | Self::Text { size, .. } => *size,
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
    /// The map that holds them; of a variable the one of its section.
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
