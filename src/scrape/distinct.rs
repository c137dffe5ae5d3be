//! Whether distinct keys are certain to give distinct label sets.

use std::ops::Range;

use super::rows::RowPlan;
use crate::decode::Injective;
use crate::spec::{Bits, LabelSource, MetricSpec, Reduce};

/// What must hold of each key for distinct keys to give distinct label sets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Distinct {
    /// Bytes that must be text: valid UTF-8 up to the first NUL and nothing after it.
    texts: Vec<Range<usize>>,
    /// Bytes that no label shows, which must be zero.
    unseen: Vec<Range<usize>>,
    /// Bytes of which labels show some bits, with the bits that must be zero.
    partly_seen: Vec<(usize, u8)>,
}

impl Distinct {
    pub(super) fn of(metric: &MetricSpec, rows: &RowPlan) -> Option<Self> {
        let mut distinct = Self::default();
        // Of each byte of the key, the bits that some label shows.
        let mut seen = vec![if rows.is_unlabelled() { u8::MAX } else { 0 }; metric.key_size];
        let mut cpu = false;
        for label in &metric.labels {
            let injective = label.chain.traits().injective;
            match label.source {
                _ if injective == Injective::Never => return None,
                LabelSource::Cpu => cpu = true,
                LabelSource::Key { offset, size } => {
                    seen.get_mut(offset..offset.checked_add(size)?)?.fill(u8::MAX);
                    if injective == Injective::Canonical {
                        distinct.texts.push(offset..offset + size);
                    }
                }
                // Its bytes in the key are no text.
                LabelSource::Bits { .. } if injective == Injective::Canonical => return None,
                LabelSource::Bits { offset, size, bits } => {
                    mark(seen.get_mut(offset..offset.checked_add(size)?)?, bits);
                }
            }
        }
        if metric.reduce == Reduce::Split && !cpu {
            return None;
        }
        let mut from = 0;
        for run in seen.chunk_by(|left, right| left == right) {
            match run.first() {
                Some(0) => distinct.unseen.push(from..from + run.len()),
                Some(&bits) if bits != u8::MAX => {
                    distinct.partly_seen.extend((from..from + run.len()).map(|at| (at, !bits)));
                }
                _ => {}
            }
            from += run.len();
        }
        Some(distinct)
    }

    /// Whether it holds of a key.
    pub(super) fn holds(&self, key: &[u8]) -> bool {
        let part = |range: &Range<usize>| key.get(range.clone()).unwrap_or_default();
        self.texts.iter().all(|range| is_canonical(part(range)))
            && self.unseen.iter().all(|range| part(range).iter().all(|byte| *byte == 0))
            && self.partly_seen.iter().all(|(at, bits)| key.get(*at).is_some_and(|byte| byte & bits == 0))
    }

    /// Whether it holds of every key.
    pub(super) fn is_unconditional(&self) -> bool {
        self.texts.is_empty() && self.unseen.is_empty() && self.partly_seen.is_empty()
    }
}

/// Marks the bits of a field as seen.
fn mark(bytes: &mut [u8], bits: Bits) {
    let end = bits.shift.saturating_add(bits.width);
    for (first, byte) in (0u32..).step_by(8).zip(bytes) {
        for bit in 0..8 {
            if (bits.shift..end).contains(&(first + bit)) {
                *byte |= 1 << bit;
            }
        }
    }
}

/// Whether bytes are UTF-8 up to the first NUL, and zeros from there on. Nearly all are ASCII, which
/// is seen eight at a time.
fn is_canonical(text: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let (words, rest) = text.as_chunks::<8>();
    let mut last = [0; 8];
    for (place, byte) in last.iter_mut().zip(rest) {
        *place = *byte;
    }
    let mut ended = false;
    for word in words.iter().chain(std::iter::once(&last)) {
        let word = u64::from_le_bytes(*word);
        if word & HIGH != 0 {
            return is_canonical_text(text);
        }
        // Of the high bits that are set here, the lowest stands for the first NUL.
        let nul = word.wrapping_sub(ONES) & !word & HIGH;
        if nul != 0 || ended {
            let text_bits = if ended { 0 } else { nul.trailing_zeros() & !7 };
            if word >> text_bits != 0 {
                return false;
            }
            ended = true;
        }
    }
    true
}

fn is_canonical_text(text: &[u8]) -> bool {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    let (text, tail) = text.split_at(end);
    std::str::from_utf8(text).is_ok() && tail.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn eight_bytes_at_a_time_tell_the_same(
            text in proptest::collection::vec(
                proptest::sample::select(vec![0u8, 1, 2, b'a', b'z', 0x7f, 0x80, 0xc3, 0xa4, 0xff]), 0..24),
            zeros_from in 0usize..24,
        ) {
            let mut text = text;
            proptest::prop_assert_eq!(is_canonical(&text), is_canonical_text(&text));
            if let Some(tail) = text.get_mut(zeros_from..) {
                tail.fill(0);
            }
            proptest::prop_assert_eq!(is_canonical(&text), is_canonical_text(&text));
        }
    }

    #[test]
    fn bits_are_marked_in_memory_order() {
        #[track_caller]
        fn check(shift: u32, width: u32, expected: &[u8]) {
            let mut bytes = vec![0; expected.len()];
            mark(&mut bytes, Bits { shift, width, signed: false });
            assert_eq!(bytes, expected);
        }
        check(0, 3, &[0b111]);
        check(5, 6, &[0b1110_0000, 0b111]);
        check(7, 64, &[0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    }
}
