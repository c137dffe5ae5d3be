//! Whether distinct keys are certain to give distinct label sets.

use super::rows::RowPlan;
use crate::decode::Injective;
use crate::snapshot::KeyForm;
use crate::spec::{Bits, LabelSource, MetricSpec, Reduce};

/// The form of keys of which distinct ones give distinct label sets; none when there is no such form.
pub(super) fn distinct_form(metric: &MetricSpec, rows: &RowPlan) -> Option<KeyForm> {
    let mut texts = Vec::new();
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
                    texts.push(offset..offset + size);
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
    // What no label shows must be zero.
    let zeros = seen.into_iter().map(|bits| !bits).collect();
    Some(KeyForm::new(metric.key_size, texts, zeros))
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

#[cfg(test)]
mod tests {
    use super::*;

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
