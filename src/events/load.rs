//! Bytes of records that are all of one length.

use crate::snapshot::ValueKind;
use crate::spec::ValueSpec;

/// Bytes that are loaded at once.
pub(super) const WORD: usize = size_of::<u64>();

/// Some bytes of records, a word at the most, and their place in a short key. A whole word is loaded whatever their
/// number, so that nothing depends on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Where the word begins.
    at: usize,
    /// Bits of it before the bytes.
    skip: u32,
    mask: u64,
    /// Bits of the key before them.
    shift: u32,
}

impl Load {
    /// So many bytes from a place on, of records that have `bytes` in all, which are whole words.
    pub(super) fn new(offset: usize, size: usize, bytes: usize) -> Self {
        let at = offset.min(bytes.saturating_sub(WORD));
        let mask = u64::MAX >> (64 - bits(size)).min(63);
        Self { at, skip: bits(offset - at) % 64, mask, shift: 0 }
    }

    /// The same for a place in a key.
    pub(super) fn at(self, place: usize) -> Self {
        Self { shift: bits(place) % 128, ..self }
    }

    /// The bytes as a number, the first in the lowest place.
    #[inline]
    pub(super) fn of(&self, record: &[u8]) -> u64 {
        let word = record.get(self.at..).and_then(|from| from.first_chunk());
        word.map_or(0, |word| u64::from_le_bytes(*word)) >> self.skip & self.mask
    }

    /// The same at its place.
    #[inline]
    pub(super) fn placed(&self, record: &[u8]) -> u128 {
        u128::from(self.of(record)) << self.shift
    }
}

/// A number of records that are all long enough for it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    /// An integer, with the bits that are to be filled with its sign.
    Integer(Load, u32),
    Other(ValueSpec),
}

impl Number {
    /// A number of records that have `bytes` in all, which are whole words.
    pub(super) fn new(value: &ValueSpec, bytes: usize) -> Self {
        let load = || Load::new(value.offset, value.width, bytes);
        match value.kind {
            // Elsewhere the first byte is not the lowest one.
            _ if cfg!(target_endian = "big") => Self::Other(*value),
            ValueKind::Unsigned => Self::Integer(load(), 0),
            ValueKind::Signed => Self::Integer(load(), 64u32.saturating_sub(bits(value.width)).min(63)),
            ValueKind::Float | ValueKind::Bits(_) => Self::Other(*value),
        }
    }

    /// The number, as bits of its kind.
    #[inline]
    pub(super) fn of(&self, record: &[u8]) -> u64 {
        match self {
            Self::Integer(load, 0) => load.of(record),
            Self::Integer(load, sign) => ((load.of(record) << sign).cast_signed() >> sign).cast_unsigned(),
            Self::Other(value) => value.bits_of(record).unwrap_or(0),
        }
    }
}

/// How many bits so many bytes have.
pub(super) fn bits(bytes: usize) -> u32 {
    u32::try_from(bytes * 8).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Bits;

    #[test]
    fn a_number_is_that_of_the_whole_record() {
        let record: Vec<u8> = (0..16u8).map(|byte| byte.wrapping_mul(0x5b) ^ 0x80).collect();
        let bits = ValueKind::Bits(Bits { shift: 3, width: 7, signed: true });
        let integers: &[usize] = &[1, 2, 4, 8];
        for (kind, widths) in [
            (ValueKind::Unsigned, integers),
            (ValueKind::Signed, integers),
            (ValueKind::Float, &[4, 8]),
            (bits, &[2, 4, 8]),
        ] {
            for width in widths.iter().copied() {
                for offset in 0..=16 - width {
                    let value = ValueSpec { offset, width, kind };
                    let expected = value.bits_of(&record).unwrap();
                    assert_eq!(Number::new(&value, 16).of(&record), expected, "{value:?}");
                }
            }
        }
    }
}
