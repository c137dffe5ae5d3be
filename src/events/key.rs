//! How the key of a record is put together.

use super::load::{Load, WORD, bits};
use crate::spec::KeyPart;

/// Bytes that a short key has at the most.
pub(super) const SHORT: usize = 16;

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

/// A short key in two words.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "both halves are taken")]
pub(super) fn halves(key: u128) -> [u64; 2] {
    [key as u64, (key >> 64) as u64]
}

/// Which bytes of a record are its key.
///
/// Labels have the order of their names, and members one of their own. A short key is taken as it lies in the record, so that
/// members side by side are one load whatever the order of the labels; [`KeyPlan::sorted`] puts it in that order, once for
/// each key and not for each record.
#[derive(Debug)]
pub(super) struct KeyPlan {
    /// In the order of the labels.
    parts: Vec<KeyPart>,
    /// As they lie in the record, with neighbours in one. Bit-fields and texts leave all as it is.
    pieces: Vec<KeyPart>,
    /// What `sorted` does; nothing where both orders are the same.
    moves: Vec<Move>,
    /// Whether a zero ends its keys, because that of the rest ends otherwise. In a number nobody sees it.
    has_rest: bool,
}

/// Some bytes of a short key that go elsewhere.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Move {
    from: u32,
    mask: u128,
    to: u32,
}

impl KeyPlan {
    pub(super) fn new(parts: &[KeyPart], has_rest: bool) -> Self {
        let as_it_is = || Self { parts: parts.to_vec(), pieces: parts.to_vec(), moves: Vec::new(), has_rest };
        let bytes = |part: &KeyPart| match part {
            KeyPart::Bytes { offset, size } => Some((*offset, *size)),
            KeyPart::Text { .. } | KeyPart::Bits { .. } => None,
        };
        let Some(ranges) = parts.iter().map(bytes).collect::<Option<Vec<_>>>() else { return as_it_is() };
        let mut sorted = ranges.clone();
        sorted.sort_unstable();
        let mut pieces: Vec<(usize, usize)> = Vec::new();
        for (offset, size) in sorted {
            match pieces.last_mut() {
                // Two labels may have the same bytes.
                Some((first, all)) if offset <= *first + *all => *all = (*all).max(offset + size - *first),
                _ => pieces.push((offset, size)),
            }
        }
        if pieces.iter().map(|(_, size)| size).sum::<usize>() > SHORT {
            return as_it_is();
        }
        let place = |offset: usize| {
            let before = pieces.iter().take_while(|(first, size)| first + size <= offset);
            let own =
                pieces.iter().find(|(first, size)| first + size > offset).map_or(0, |(first, _)| *first);
            before.map(|(_, size)| size).sum::<usize>() + offset.saturating_sub(own)
        };
        let mut to = 0;
        let moves = ranges.iter().filter(|(_, size)| *size > 0).map(|(offset, size)| {
            let mask = u128::MAX >> 128u32.saturating_sub(bits(*size)).min(127);
            let moved = Move { from: bits(place(*offset)) % 128, mask, to: bits(to) % 128 };
            to += size;
            moved
        });
        let moves: Vec<_> = moves.collect();
        let moves = if moves.iter().all(|one| one.from == one.to) { Vec::new() } else { moves };
        let pieces = pieces.into_iter().map(|(offset, size)| KeyPart::Bytes { offset, size }).collect();
        Self { parts: parts.to_vec(), pieces, moves, has_rest }
    }

    /// A short key in the order of its labels.
    pub(super) fn sorted(&self, key: u128) -> u128 {
        if self.moves.is_empty() {
            return key;
        }
        self.moves.iter().fold(0, |sorted, one| sorted | (key >> one.from & one.mask) << one.to)
    }

    /// Bytes of a key; none of one without parts.
    pub(super) fn size(&self) -> usize {
        self.parts.iter().map(KeyPart::width).sum()
    }

    /// How far it looks into a record.
    pub(super) fn needs(&self) -> usize {
        let end = |part: &KeyPart| match part {
            KeyPart::Bytes { offset, size }
            | KeyPart::Text { offset, size, .. }
            | KeyPart::Bits { offset, size, .. } => offset + size,
        };
        self.parts.iter().map(end).max().unwrap_or(0)
    }

    /// The loads that make a short key, as it lies there, of records that all have so many bytes, which are whole words and as many as are
    /// needed; none when it takes more than loads.
    pub(super) fn loads(&self, bytes: usize) -> Option<Vec<Load>> {
        let (mut loads, mut place) = (Vec::new(), 0);
        for part in &self.pieces {
            let KeyPart::Bytes { offset, size } = *part else { return None };
            for done in (0..size).step_by(WORD) {
                loads.push(Load::new(offset + done, (size - done).min(WORD), bytes).at(place + done));
            }
            place += size;
        }
        Some(loads)
    }

    /// The short key of a record as it lies there, unless that ends too early.
    #[inline]
    pub(super) fn short(&self, record: &[u8]) -> Option<u128> {
        let (mut key, mut shift) = (0, 0);
        for part in &self.pieces {
            key |= short(part, record)? << shift;
            shift += part.width() * 8;
        }
        Some(key)
    }

    /// A key of any length, unless the record ends too early; `room` is for what does not lie side by side.
    #[inline]
    pub(super) fn long<'r>(&self, record: &'r [u8], room: &'r mut Vec<u8>) -> Option<&'r [u8]> {
        if let ([KeyPart::Bytes { offset, size }], false) = (self.parts.as_slice(), self.has_rest) {
            return record.get(*offset..offset + size);
        }
        room.clear();
        for part in &self.parts {
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
        Some(room)
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::snapshot::Bits;

    #[test]
    fn what_lies_side_by_side_is_one_piece_whatever_the_labels_order() {
        let bytes = |offset, size| KeyPart::Bytes { offset, size };
        let field = KeyPart::Bits { offset: 4, size: 1, bits: Bits { shift: 0, width: 3, signed: false } };
        for (parts, expected, is_moved) in [
            (vec![bytes(0, 4), bytes(4, 4)], vec![bytes(0, 8)], false),
            (vec![bytes(4, 4), bytes(0, 4)], vec![bytes(0, 8)], true),
            (vec![bytes(8, 2), bytes(0, 4), bytes(10, 1)], vec![bytes(0, 4), bytes(8, 3)], true),
            (vec![bytes(0, 4), bytes(0, 4)], vec![bytes(0, 4)], true),
            (vec![bytes(0, 8), bytes(2, 4)], vec![bytes(0, 8)], true),
            (vec![bytes(0, 4), field, bytes(4, 4)], vec![bytes(0, 4), field, bytes(4, 4)], false),
            (vec![bytes(8, 8), bytes(0, 12)], vec![bytes(0, 16)], true),
            (vec![], vec![], false),
        ] {
            let plan = KeyPlan::new(&parts, false);
            assert_eq!((plan.pieces, !plan.moves.is_empty()), (expected, is_moved), "{parts:?}");
        }
    }

    proptest! {
        /// All ways to a key give the same.
        #[test]
        fn a_key_is_the_same_in_every_way(
            record in prop::collection::vec(any::<u8>(), 0..40),
            parts in prop::collection::vec((0usize..32, 1usize..9), 0..4),
        ) {
            let parts: Vec<_> = parts.into_iter().map(|(offset, size)| KeyPart::Bytes { offset, size }).collect();
            let plan = KeyPlan::new(&parts, false);
            prop_assume!(plan.size() <= SHORT);
            let mut expected = Vec::new();
            for part in &parts {
                let KeyPart::Bytes { offset, size } = *part else { unreachable!() };
                expected.extend_from_slice(record.get(offset..offset + size).unwrap_or_default());
            }
            let is_whole = record.len() >= plan.needs();
            let key = is_whole.then(|| packed(&expected));
            prop_assert_eq!(plan.short(&record).map(|key| plan.sorted(key)), key);
            let mut room = Vec::new();
            prop_assert_eq!(plan.long(&record, &mut room), is_whole.then_some(expected.as_slice()));
            let mut padded = record.clone();
            padded.resize(record.len().next_multiple_of(WORD), 0xa5);
            if is_whole && !padded.is_empty() {
                let loads = plan.loads(padded.len()).unwrap();
                let taken = loads.iter().fold(0, |key, load| key | load.placed(&padded));
                prop_assert_eq!(Some(plan.sorted(taken)), key);
            }
        }
    }
}
