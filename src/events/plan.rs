//! What is looked at in a record.

use crate::series::NumberKind;
use crate::spec::{Amount, Condition, EventSpec, KeyPart, ValueSpec};

/// Which records count.
#[derive(Debug)]
pub struct Conditions(Vec<(ValueSpec, Vec<u64>)>);

impl Conditions {
    /// Records that fulfil all of these.
    #[must_use]
    pub fn new(conditions: &[Condition]) -> Self {
        Self(conditions.iter().map(condition).collect())
    }

    /// How far it looks into a record.
    #[must_use]
    pub fn needs(&self) -> usize {
        self.0.iter().map(|(value, _)| end(value)).max().unwrap_or(0)
    }

    /// Whether a record counts; none when it ends before that is known.
    #[must_use]
    #[inline]
    pub fn are_met(&self, record: &[u8]) -> Option<bool> {
        for (value, any_of) in &self.0 {
            if !any_of.contains(&value.bits_of(record)?) {
                return Some(false);
            }
        }
        Some(true)
    }
}

/// How one metric reads records.
#[derive(Debug)]
pub(super) struct Plan {
    conditions: Conditions,
    key: Vec<KeyPart>,
    amount: Added,
    /// Whether its keys are short.
    is_short: bool,
    /// Whether a zero ends its keys, because that of the rest ends otherwise.
    has_rest: bool,
    /// How far it looks into a record.
    pub(super) needs: usize,
}

/// What of a record is added.
#[derive(Debug)]
enum Added {
    One,
    Number(ValueSpec),
    Observed(ValueSpec, Vec<i128>),
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

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Taken<'r> {
    /// It is of another kind.
    Passes,
    /// It cannot be read.
    Broken,
    /// It adds to an entry.
    Adds(Key<'r>, Addend),
}

/// Bytes that a short key has at the most.
const SHORT: usize = 16;

/// The key of an entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Key<'r> {
    /// Its bytes as one number, the first in the lowest place: it never goes through memory.
    Short(u128),
    /// One that has more than 16 bytes.
    Long(&'r [u8]),
}

impl<'r> Key<'r> {
    /// The key that has these bytes.
    pub(super) fn new(bytes: &'r [u8]) -> Self {
        if bytes.len() > SHORT { Self::Long(bytes) } else { Self::Short(packed(bytes)) }
    }
}

/// The number that some bytes, 16 at most, are.
fn packed(bytes: &[u8]) -> u128 {
    let mut all = [0; SHORT];
    for (to, from) in all.iter_mut().zip(bytes) {
        *to = *from;
    }
    u128::from_le_bytes(all)
}

/// The bytes of a part as a number; the usual sizes are loaded at once.
#[inline]
fn short(part: &KeyPart, record: &[u8]) -> Option<u128> {
    let (offset, size) = match *part {
        KeyPart::Bytes { offset, size } => (offset, size),
        KeyPart::Text { offset, size, form } => {
            let mut text = [0; SHORT];
            let text = text.get_mut(..size)?;
            text.copy_from_slice(record.get(offset..offset + size)?);
            form.apply(text);
            return Some(packed(text));
        }
        KeyPart::Bits { offset, size, bits } => {
            let number = bits.number(record.get(offset..offset + size)?);
            return Some(u64::from_le_bytes(number.to_ne_bytes()).into());
        }
    };
    let from = record.get(offset..)?;
    Some(match size {
        1 => (*from.first()?).into(),
        2 => u16::from_le_bytes(*from.first_chunk()?).into(),
        4 => u32::from_le_bytes(*from.first_chunk()?).into(),
        8 => u64::from_le_bytes(*from.first_chunk()?).into(),
        16 => u128::from_le_bytes(*from.first_chunk()?),
        _ => packed(from.get(..size)?),
    })
}

impl Plan {
    pub(super) fn new(spec: &EventSpec) -> Self {
        let amount = match &spec.amount {
            Amount::One => Added::One,
            Amount::Number(value) => Added::Number(*value),
            Amount::Observed { value, bounds } => Added::Observed(*value, bounds.clone()),
        };
        Self {
            conditions: Conditions::new(&spec.conditions),
            key: spec.key.clone(),
            amount,
            is_short: spec.key_size() <= SHORT,
            has_rest: spec.rest,
            needs: needs(spec),
        }
    }

    /// What becomes of a record; `room` is for its key.
    #[inline]
    pub(super) fn take<'r>(&self, record: &'r [u8], room: &'r mut Vec<u8>) -> Taken<'r> {
        match self.conditions.are_met(record) {
            None => return Taken::Broken,
            Some(false) => return Taken::Passes,
            Some(true) => {}
        }
        match (self.addend(record), self.key(record, room)) {
            (Some(addend), Some(key)) => Taken::Adds(key, addend),
            _ => Taken::Broken,
        }
    }

    #[inline]
    fn key<'r>(&self, record: &'r [u8], room: &'r mut Vec<u8>) -> Option<Key<'r>> {
        if self.is_short {
            let (mut packed, mut shift) = (0, 0);
            for part in &self.key {
                packed |= short(part, record)? << shift;
                shift += part.width() * 8;
            }
            return Some(Key::Short(packed));
        }
        if let ([KeyPart::Bytes { offset, size }], false) = (self.key.as_slice(), self.has_rest) {
            return record.get(*offset..offset + size).map(Key::Long);
        }
        room.clear();
        for part in &self.key {
            match *part {
                KeyPart::Bytes { offset, size } => room.extend_from_slice(record.get(offset..offset + size)?),
                KeyPart::Text { offset, size, form } => {
                    let begin = room.len();
                    room.extend_from_slice(record.get(offset..offset + size)?);
                    form.apply(room.get_mut(begin..)?);
                }
                KeyPart::Bits { offset, size, bits } => {
                    let number = bits.number(record.get(offset..offset + size)?);
                    room.extend_from_slice(&number.to_ne_bytes());
                }
            }
        }
        room.extend(self.has_rest.then_some(0));
        Some(Key::Long(room))
    }

    #[inline]
    fn addend(&self, record: &[u8]) -> Option<Addend> {
        match &self.amount {
            Added::One => Some(Addend::Integer(1)),
            Added::Number(value) => {
                let bits = value.bits_of(record)?;
                match value.number_kind() {
                    NumberKind::U64 => Some(Addend::Integer(bits)),
                    // A counter never falls.
                    NumberKind::I64 => Some(Addend::Integer(bits)).filter(|_| bits.cast_signed() >= 0),
                    NumberKind::F64 => {
                        let number = f64::from_bits(bits);
                        Some(Addend::Float(number)).filter(|_| number.is_finite() && number >= 0.0)
                    }
                }
            }
            Added::Observed(value, bounds) => {
                let bits = value.bits_of(record)?;
                let number = match value.number_kind() {
                    NumberKind::I64 => i128::from(bits.cast_signed()),
                    NumberKind::U64 | NumberKind::F64 => i128::from(bits),
                };
                Some(Addend::Slot(bounds.partition_point(|bound| *bound < number), bits))
            }
        }
    }
}

fn condition(condition: &Condition) -> (ValueSpec, Vec<u64>) {
    let bits = |number: &i128| match condition.value.number_kind() {
        NumberKind::I64 => i64::try_from(*number).ok().map(i64::cast_unsigned),
        NumberKind::U64 | NumberKind::F64 => u64::try_from(*number).ok(),
    };
    (condition.value, condition.any_of.iter().filter_map(bits).collect())
}

/// Where a number ends.
fn end(value: &ValueSpec) -> usize {
    value.offset + value.width
}

fn needs(spec: &EventSpec) -> usize {
    let amount = match &spec.amount {
        Amount::One => 0,
        Amount::Number(number) | Amount::Observed { value: number, .. } => end(number),
    };
    let key = spec.key.iter().map(|part| match part {
        KeyPart::Bytes { offset, size }
        | KeyPart::Text { offset, size, .. }
        | KeyPart::Bits { offset, size, .. } => offset + size,
    });
    let conditions = spec.conditions.iter().map(|condition| end(&condition.value));
    key.chain(conditions).max().unwrap_or(0).max(amount)
}
