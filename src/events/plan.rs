//! What is looked at in a record.

use crate::series::NumberKind;
use crate::spec::{Amount, Condition, EventSpec, KeyPart, NO_LABELS, ValueSpec};

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
    Adds(&'r [u8], Addend),
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
    fn key<'r>(&self, record: &'r [u8], room: &'r mut Vec<u8>) -> Option<&'r [u8]> {
        match self.key.as_slice() {
            [] => return Some(&NO_LABELS),
            [KeyPart::Bytes { offset, size }] => return record.get(*offset..offset + size),
            _ => {}
        }
        room.clear();
        for part in &self.key {
            match *part {
                // The usual sizes are copied without a call.
                KeyPart::Bytes { offset, size: 4 } => {
                    room.extend_from_slice(record.get(offset..)?.first_chunk::<4>()?);
                }
                KeyPart::Bytes { offset, size: 8 } => {
                    room.extend_from_slice(record.get(offset..)?.first_chunk::<8>()?);
                }
                KeyPart::Bytes { offset, size } => room.extend_from_slice(record.get(offset..offset + size)?),
                KeyPart::Bits { offset, size, bits } => {
                    let number = bits.number(record.get(offset..offset + size)?);
                    room.extend_from_slice(&number.to_ne_bytes());
                }
            }
        }
        Some(room)
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
        KeyPart::Bytes { offset, size } | KeyPart::Bits { offset, size, .. } => offset + size,
    });
    let conditions = spec.conditions.iter().map(|condition| end(&condition.value));
    key.chain(conditions).max().unwrap_or(0).max(amount)
}
