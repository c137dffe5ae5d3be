//! Histograms whose slots lie side by side in the value.

use super::fold::{Pass, never};
use super::state::Memory;
use crate::series::{Buckets, Ledger, LedgerShape, NumberKind, Slot, Total};
use crate::snapshot::{Numbers, Snapshot};
use crate::spec::SlotArray;

/// Bytes that tell the cells of one entry apart in the ledger.
const CELL_SIZE: usize = size_of::<u32>();

/// How an array is a histogram.
#[derive(Debug)]
pub(super) struct ArrayPlan {
    /// In which cell each slot counts.
    pub(super) cells: Vec<usize>,
    /// The column of the sum.
    pub(super) sum: Option<usize>,
    /// The column of the number of all observations.
    pub(super) count: Option<usize>,
}

impl ArrayPlan {
    /// In which cell each slot counts: the bounds, then the infinite one.
    pub(super) fn cells(buckets: &Buckets, array: &SlotArray) -> Vec<usize> {
        if array.by_bound {
            return (0..array.length).map(|index| index.min(buckets.len())).collect();
        }
        let cell = |index| match buckets.slot_at(index) {
            Slot::Bucket(bucket) => bucket,
            Slot::Infinite | Slot::Sum => buckets.len(),
        };
        (0..array.length).map(cell).collect()
    }

    /// What a ledger remembers of it: every slot of every key by itself, and behind the cells
    /// that are shown the number of all observations.
    pub(super) fn shape(buckets: &Buckets, array: &SlotArray, shape: &mut LedgerShape) {
        shape.key_size += CELL_SIZE;
        shape.keys.push_str(&format!(" {array:?}"));
        if array.sum.is_some_and(|sum| sum.number_kind() == NumberKind::I64) {
            // No slot comes near the numbers of which the two kinds think differently.
            shape.kind = NumberKind::I64;
        }
        if array.count.is_some() {
            let parts = buckets.len() + 1;
            shape.total = Some(Total { slot: parts + 1, parts });
            shape.stride = parts + 2;
        }
    }

    /// Tells the ledger what every row says.
    pub(super) fn tell(
        &self,
        pass: &mut Pass<'_>,
        snapshot: &Snapshot,
        numbers: Numbers<'_>,
        memory: &mut Memory,
    ) {
        let column = |column: Option<usize>| column.and_then(|column| snapshot.numbers(column));
        let (sums, counts) = (column(self.sum), column(self.count));
        let (sum_cell, last) = (pass.stride().saturating_sub(1), self.cells.len());
        let mut long_key = Vec::new();
        pass.rows(snapshot, numbers.lanes, memory, never, |memory, key, nth, taken| {
            let Some(ledger) = &mut memory.ledger else { return };
            let slots = numbers.bits.get(nth * last..(nth + 1) * last).unwrap_or_default();
            let Some((list, _)) = taken else {
                for cell in 0..last + 2 {
                    ledger.hold(extended(&mut long_key, key, cell));
                }
                return;
            };
            let series = ledger.speak(list);
            let mut add = |ledger: &mut Ledger, index: usize, cell: usize, bits: u64| {
                ledger.add_to(series, extended(&mut long_key, key, index), cell, bits);
            };
            for (index, (bits, cell)) in slots.iter().zip(&self.cells).enumerate() {
                // Most slots are empty. The first speaks always, because a histogram without
                // observations is there all the same.
                if *bits != 0 || index == 0 {
                    add(ledger, index, *cell, *bits);
                }
            }
            if let Some(sum) = sums.and_then(|sums| sums.bits.get(nth)) {
                add(ledger, last, sum_cell, *sum);
            }
            if let Some(count) = counts.and_then(|counts| counts.bits.get(nth)) {
                add(ledger, last + 1, sum_cell + 1, *count);
            }
        });
    }
}

/// A key with the number of a cell behind it.
fn extended<'a>(long_key: &'a mut Vec<u8>, key: &[u8], cell: usize) -> &'a [u8] {
    long_key.clear();
    long_key.extend_from_slice(key);
    long_key.extend_from_slice(&u32::try_from(cell).unwrap_or(u32::MAX).to_ne_bytes());
    long_key
}
