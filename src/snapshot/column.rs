//! Columns: the numbers that metrics need of a value, taken batch by batch.

use super::{Batch, Shape};
use crate::series::NumberKind;

/// How a number is taken from a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValueSpec {
    /// First byte inside one CPU's value.
    pub offset: usize,
    /// 1, 2, 4 or 8 bytes.
    pub width: usize,
    /// Two's complement.
    pub signed: bool,
}

/// How the CPUs of a per-CPU value are reduced. Maps that are not per-CPU have one lane: all but `Split` are the same there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Reduce {
    /// Their sum.
    #[default]
    Sum,
    /// The largest.
    Max,
    /// The smallest.
    Min,
    /// The mean, a float.
    Avg,
    /// One number for each CPU, told apart by the label `cpu`.
    Split,
}

/// One number of each entry, or one for each of its lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Column {
    /// Which bytes of the value.
    pub value: ValueSpec,
    /// What becomes of the lanes.
    pub reduce: Reduce,
}

impl Column {
    /// What kind of number it holds.
    #[must_use]
    pub fn kind(&self) -> NumberKind {
        match (self.reduce, self.value.signed) {
            (Reduce::Avg, _) => NumberKind::F64,
            (_, true) => NumberKind::I64,
            (_, false) => NumberKind::U64,
        }
    }

    /// How many numbers it has for each entry of a shape.
    #[must_use]
    pub fn lanes(&self, shape: Shape) -> usize {
        if self.reduce == Reduce::Split { shape.lanes } else { 1 }
    }

    /// Whether values of a shape hold such a number.
    #[must_use]
    pub fn fits(&self, shape: Shape) -> bool {
        let ValueSpec { offset, width, .. } = self.value;
        matches!(width, 1 | 2 | 4 | 8) && offset.checked_add(width).is_some_and(|end| end <= shape.value_size)
    }

    /// Appends the numbers of a batch, as bits of the column's kind.
    pub(super) fn project(&self, batch: &Batch<'_>, out: &mut Vec<u64>) {
        match (self.value.width, self.value.signed) {
            (1, false) => self.fold(batch, out, |bytes| u64::from(u8::from_ne_bytes(bytes))),
            (2, false) => self.fold(batch, out, |bytes| u64::from(u16::from_ne_bytes(bytes))),
            (4, false) => self.fold(batch, out, |bytes| u64::from(u32::from_ne_bytes(bytes))),
            (1, true) => self.fold(batch, out, |bytes| i64::from(i8::from_ne_bytes(bytes)).cast_unsigned()),
            (2, true) => self.fold(batch, out, |bytes| i64::from(i16::from_ne_bytes(bytes)).cast_unsigned()),
            (4, true) => self.fold(batch, out, |bytes| i64::from(i32::from_ne_bytes(bytes)).cast_unsigned()),
            _ => self.fold(batch, out, u64::from_ne_bytes),
        }
    }

    fn fold<const WIDTH: usize>(
        &self,
        batch: &Batch<'_>,
        out: &mut Vec<u64>,
        load: impl Fn([u8; WIDTH]) -> u64 + Copy,
    ) {
        let Shape { lanes, lane_stride, .. } = batch.shape;
        if lanes == 0 || lane_stride == 0 {
            return;
        }
        let offset = self.value.offset;
        let lane = move |lane: &[u8]| {
            let bytes = lane.get(offset..).and_then(|from| from.first_chunk::<WIDTH>());
            bytes.map_or(0, |bytes| load(*bytes))
        };
        let each_lane = batch.values.chunks_exact(lane_stride).map(lane);
        let signed = self.value.signed;
        match self.reduce {
            Reduce::Split => out.extend(each_lane),
            Reduce::Sum | Reduce::Max | Reduce::Min if lanes == 1 => out.extend(each_lane),
            Reduce::Sum => {
                let rows = batch.values.chunks_exact(lanes * lane_stride);
                out.extend(
                    rows.map(|row| row.chunks_exact(lane_stride).map(lane).fold(0, u64::wrapping_add)),
                );
            }
            reduce => {
                let rows = batch.values.chunks_exact(lanes * lane_stride);
                out.extend(rows.map(|row| reduced(reduce, signed, row.chunks_exact(lane_stride).map(lane))));
            }
        }
    }
}

/// The less frequent reductions.
fn reduced(reduce: Reduce, signed: bool, lanes: impl Iterator<Item = u64>) -> u64 {
    // Flipping the sign bit makes two's complement rise like unsigned numbers.
    let order = |bits: &u64| if signed { *bits ^ (1 << 63) } else { *bits };
    match reduce {
        Reduce::Min => lanes.min_by_key(order).unwrap_or(0),
        Reduce::Avg => mean(signed, lanes).to_bits(),
        _ => lanes.max_by_key(order).unwrap_or(0),
    }
}

#[allow(clippy::cast_precision_loss)]
fn mean(signed: bool, lanes: impl Iterator<Item = u64>) -> f64 {
    let widen = |bits: u64| if signed { i128::from(bits.cast_signed()) } else { i128::from(bits) };
    let (sum, count) = lanes.fold((0i128, 0u32), |(sum, count), bits| (sum + widen(bits), count + 1));
    if count == 0 { 0.0 } else { sum as f64 / f64::from(count) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Number;

    #[track_caller]
    fn check(value: (usize, usize, bool), reduce: Reduce, lanes: usize, values: &[u8], expected: &[Number]) {
        let stride = values.len() / lanes;
        let shape = Shape { key_size: 4, value_size: stride, lanes, lane_stride: stride };
        let batch = Batch { shape, rows: 1, keys: &[0; 4], values };
        let (offset, width, signed) = value;
        let column = Column { value: ValueSpec { offset, width, signed }, reduce };
        assert!(column.fits(shape));
        let mut out = Vec::new();
        column.project(&batch, &mut out);
        assert_eq!(out.len(), column.lanes(shape));
        let numbers: Vec<_> = out.into_iter().map(|bits| column.kind().number(bits)).collect();
        assert_eq!(numbers, expected);
    }

    #[test]
    fn every_width_and_sign() {
        use Number::{I64, U64};
        let minus_two = (-2i64).to_ne_bytes();
        check((0, 8, false), Reduce::Sum, 1, &minus_two, &[U64(u64::MAX - 1)]);
        check((0, 8, true), Reduce::Sum, 1, &minus_two, &[I64(-2)]);
        check((0, 4, true), Reduce::Sum, 1, &minus_two, &[I64(-2)]);
        check((0, 4, false), Reduce::Sum, 1, &minus_two, &[U64(u64::from(u32::MAX - 1))]);
        check((0, 2, true), Reduce::Sum, 1, &minus_two, &[I64(-2)]);
        check((0, 2, false), Reduce::Sum, 1, &minus_two, &[U64(u64::from(u16::MAX - 1))]);
        check((0, 1, true), Reduce::Sum, 1, &minus_two, &[I64(-2)]);
        check((7, 1, false), Reduce::Sum, 1, &[0, 0, 0, 0, 0, 0, 0, 9], &[U64(9)]);
    }

    #[test]
    fn lanes_are_reduced() {
        use Number::{F64, I64, U64};
        let lanes: Vec<u8> = [5i64, -1, 2].iter().flat_map(|lane| lane.to_ne_bytes()).collect();
        check((0, 8, true), Reduce::Sum, 3, &lanes, &[I64(6)]);
        check((0, 8, false), Reduce::Sum, 3, &lanes, &[U64(6)]);
        check((0, 8, true), Reduce::Max, 3, &lanes, &[I64(5)]);
        check((0, 8, false), Reduce::Max, 3, &lanes, &[U64(u64::MAX)]);
        check((0, 8, true), Reduce::Min, 3, &lanes, &[I64(-1)]);
        check((0, 8, false), Reduce::Min, 3, &lanes, &[U64(2)]);
        check((0, 8, true), Reduce::Avg, 3, &lanes, &[F64(2.0)]);
        check((0, 8, true), Reduce::Split, 3, &lanes, &[I64(5), I64(-1), I64(2)]);
    }

    #[test]
    fn a_mean_does_not_overflow() {
        let lanes = [0xff; 16];
        check((0, 8, false), Reduce::Avg, 2, &lanes, &[Number::F64(u64::MAX as f64)]);
    }

    #[test]
    fn what_lies_outside_the_value_does_not_fit() {
        let shape = Shape { key_size: 4, value_size: 12, lanes: 1, lane_stride: 16 };
        let fits = |offset, width| {
            Column { value: ValueSpec { offset, width, signed: false }, reduce: Reduce::Sum }.fits(shape)
        };
        assert!(fits(4, 8) && fits(11, 1));
        assert!(!fits(5, 8) && !fits(0, 3) && !fits(usize::MAX, 8));
    }
}
