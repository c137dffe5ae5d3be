//! Columns: the numbers that metrics need of a value, taken batch by batch.

use super::{Batch, Bits, Shape};
use crate::series::NumberKind;

/// How a number is taken from a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValueSpec {
    /// First byte inside one CPU's value.
    pub offset: usize,
    /// 1, 2, 4 or 8 bytes; 4 or 8 of a float; of a bit-field the bytes that it touches.
    pub width: usize,
    /// What the bytes mean.
    pub kind: ValueKind,
}

/// What the bytes of a number mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ValueKind {
    /// An integer in host order.
    #[default]
    Unsigned,
    /// Two's complement in host order.
    Signed,
    /// A float or double in host order.
    Float,
    /// A bit-field.
    Bits(Bits),
}

impl ValueSpec {
    /// An unsigned integer.
    #[must_use]
    pub const fn unsigned(offset: usize, width: usize) -> Self {
        Self { offset, width, kind: ValueKind::Unsigned }
    }

    /// A signed integer.
    #[must_use]
    pub const fn signed(offset: usize, width: usize) -> Self {
        Self { offset, width, kind: ValueKind::Signed }
    }

    /// What kind of number it is.
    #[must_use]
    pub fn number_kind(&self) -> NumberKind {
        match self.kind {
            ValueKind::Unsigned | ValueKind::Bits(Bits { signed: false, .. }) => NumberKind::U64,
            ValueKind::Signed | ValueKind::Bits(Bits { signed: true, .. }) => NumberKind::I64,
            ValueKind::Float => NumberKind::F64,
        }
    }

    /// The number in some bytes, as bits of its kind; none when it is not whole.
    #[must_use]
    #[inline]
    pub fn bits_of(&self, bytes: &[u8]) -> Option<u64> {
        let from = bytes.get(self.offset..)?;
        let number = match (self.kind, self.width) {
            (ValueKind::Bits(bits), width) => bits.number(from.get(..width)?),
            (ValueKind::Unsigned, 1) => u64::from(u8::from_ne_bytes(*from.first_chunk()?)),
            (ValueKind::Unsigned, 2) => u64::from(u16::from_ne_bytes(*from.first_chunk()?)),
            (ValueKind::Unsigned, 4) => u64::from(u32::from_ne_bytes(*from.first_chunk()?)),
            (ValueKind::Signed, 1) => extend(i8::from_ne_bytes(*from.first_chunk()?)),
            (ValueKind::Signed, 2) => extend(i16::from_ne_bytes(*from.first_chunk()?)),
            (ValueKind::Signed, 4) => extend(i32::from_ne_bytes(*from.first_chunk()?)),
            (ValueKind::Float, 4) => f64::from(f32::from_ne_bytes(*from.first_chunk()?)).to_bits(),
            _ => u64::from_ne_bytes(*from.first_chunk()?),
        };
        Some(number)
    }

    /// Whether there are such numbers.
    fn is_sound(&self) -> bool {
        match self.kind {
            ValueKind::Unsigned | ValueKind::Signed => matches!(self.width, 1 | 2 | 4 | 8),
            ValueKind::Float => matches!(self.width, 4 | 8),
            ValueKind::Bits(bits) => bits.fits(self.width),
        }
    }
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

/// One number of each entry, or one for each of its lanes; of an array, so many side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Column {
    /// Which bytes of the value; of an array, its first number.
    pub value: ValueSpec,
    /// How many numbers follow each other: 1, but for the slots of a histogram.
    pub count: usize,
    /// What becomes of the lanes. Arrays are summed or split.
    pub reduce: Reduce,
}

impl Column {
    /// One number.
    #[must_use]
    pub const fn new(value: ValueSpec, reduce: Reduce) -> Self {
        Self { value, count: 1, reduce }
    }

    /// What kind of number it holds.
    #[must_use]
    pub fn kind(&self) -> NumberKind {
        if self.reduce == Reduce::Avg { NumberKind::F64 } else { self.value.number_kind() }
    }

    /// How many lanes it tells apart for each entry of a shape; each has `count` numbers.
    #[must_use]
    pub fn lanes(&self, shape: Shape) -> usize {
        if self.reduce == Reduce::Split { shape.lanes } else { 1 }
    }

    /// Whether values of a shape hold such numbers.
    #[must_use]
    pub fn fits(&self, shape: Shape) -> bool {
        let end = self.value.width.checked_mul(self.count).and_then(|all| all.checked_add(self.value.offset));
        let reducible = self.count == 1 || matches!(self.reduce, Reduce::Sum | Reduce::Split);
        self.value.is_sound() && self.count > 0 && reducible && end.is_some_and(|end| end <= shape.value_size)
    }

    /// Appends the numbers of a batch, as bits of the column's kind.
    pub(super) fn project(&self, batch: &Batch<'_>, out: &mut Vec<u64>) {
        if self.project_words(batch, out) {
            return;
        }
        match (self.value.kind, self.value.width) {
            (ValueKind::Unsigned, 1) => self.fold(batch, out, loader(|b| u64::from(u8::from_ne_bytes(b)))),
            (ValueKind::Unsigned, 2) => self.fold(batch, out, loader(|b| u64::from(u16::from_ne_bytes(b)))),
            (ValueKind::Unsigned, 4) => self.fold(batch, out, loader(|b| u64::from(u32::from_ne_bytes(b)))),
            (ValueKind::Signed, 1) => self.fold(batch, out, loader(|b| extend(i8::from_ne_bytes(b)))),
            (ValueKind::Signed, 2) => self.fold(batch, out, loader(|b| extend(i16::from_ne_bytes(b)))),
            (ValueKind::Signed, 4) => self.fold(batch, out, loader(|b| extend(i32::from_ne_bytes(b)))),
            (ValueKind::Float, 4) => {
                self.fold(batch, out, loader(|b| f64::from(f32::from_ne_bytes(b)).to_bits()));
            }
            (ValueKind::Bits(bits), width) => self.fold(batch, out, move |lane: &[u8], offset| {
                lane.get(offset..offset + width).map_or(0, |bytes| bits.number(bytes))
            }),
            _ => self.fold(batch, out, loader(u64::from_ne_bytes)),
        }
    }

    /// The usual case, lanes that are one number of 8 bytes each: nothing is looked up in them.
    fn project_words(&self, batch: &Batch<'_>, out: &mut Vec<u64>) -> bool {
        let Shape { lanes, lane_stride, .. } = batch.shape;
        let is_integer = matches!(self.value.kind, ValueKind::Unsigned | ValueKind::Signed);
        let is_word = is_integer && (self.value.offset, self.value.width, lane_stride) == (0, 8, 8);
        if !is_word || self.count != 1 || lanes == 0 {
            return false;
        }
        let words = batch.values.as_chunks().0;
        let number = |word: &[u8; 8]| u64::from_ne_bytes(*word);
        match self.reduce {
            Reduce::Split => out.extend(words.iter().map(number)),
            Reduce::Sum | Reduce::Max | Reduce::Min if lanes == 1 => out.extend(words.iter().map(number)),
            Reduce::Sum => {
                let sum = |row: &[[u8; 8]]| row.iter().map(number).fold(0, u64::wrapping_add);
                out.extend(words.chunks_exact(lanes).map(sum));
            }
            Reduce::Max | Reduce::Min | Reduce::Avg => return false,
        }
        true
    }

    fn fold(&self, batch: &Batch<'_>, out: &mut Vec<u64>, load: impl Fn(&[u8], usize) -> u64 + Copy) {
        let Shape { lanes, lane_stride, .. } = batch.shape;
        if lanes == 0 || lane_stride == 0 {
            return;
        }
        if self.count != 1 {
            return self.fold_arrays(batch, out, load);
        }
        let offset = self.value.offset;
        let lane = move |lane: &[u8]| load(lane, offset);
        let each_lane = batch.values.chunks_exact(lane_stride).map(lane);
        let kind = self.value.number_kind();
        match self.reduce {
            Reduce::Split => out.extend(each_lane),
            Reduce::Sum | Reduce::Max | Reduce::Min if lanes == 1 => out.extend(each_lane),
            Reduce::Sum if kind != NumberKind::F64 => {
                let rows = batch.values.chunks_exact(lanes * lane_stride);
                out.extend(
                    rows.map(|row| row.chunks_exact(lane_stride).map(lane).fold(0, u64::wrapping_add)),
                );
            }
            reduce => {
                let rows = batch.values.chunks_exact(lanes * lane_stride);
                out.extend(rows.map(|row| reduced(reduce, kind, row.chunks_exact(lane_stride).map(lane))));
            }
        }
    }

    /// Lane after lane as they lie in memory: a value is walked once, whatever the number of slots.
    fn fold_arrays(&self, batch: &Batch<'_>, out: &mut Vec<u64>, load: impl Fn(&[u8], usize) -> u64 + Copy) {
        let Shape { lanes, lane_stride, .. } = batch.shape;
        let offsets = (0..self.count).map(|nth| self.value.offset + nth * self.value.width);
        if self.reduce == Reduce::Split || lanes == 1 {
            for lane in batch.values.chunks_exact(lane_stride) {
                out.extend(offsets.clone().map(|offset| load(lane, offset)));
            }
            return;
        }
        let float = self.value.number_kind() == NumberKind::F64;
        for row in batch.values.chunks_exact(lanes * lane_stride) {
            let start = out.len();
            out.resize(start + self.count, 0);
            for lane in row.chunks_exact(lane_stride) {
                for (sum, offset) in out.iter_mut().skip(start).zip(offsets.clone()) {
                    let number = load(lane, offset);
                    *sum = if float { add_floats(*sum, number) } else { sum.wrapping_add(number) };
                }
            }
        }
    }
}

/// Loads a number of fixed width from a lane; outside of it there is nothing to count.
fn loader<const WIDTH: usize>(
    number: impl Fn([u8; WIDTH]) -> u64 + Copy,
) -> impl Fn(&[u8], usize) -> u64 + Copy {
    move |lane, offset| {
        let bytes = lane.get(offset..).and_then(|from| from.first_chunk::<WIDTH>());
        bytes.map_or(0, |bytes| number(*bytes))
    }
}

fn extend(number: impl Into<i64>) -> u64 {
    number.into().cast_unsigned()
}

fn add_floats(left: u64, right: u64) -> u64 {
    (f64::from_bits(left) + f64::from_bits(right)).to_bits()
}

/// The less frequent reductions.
fn reduced(reduce: Reduce, kind: NumberKind, lanes: impl Iterator<Item = u64>) -> u64 {
    // As unsigned numbers rise: two's complement with its sign bit flipped, floats as IEEE 754 orders them.
    let order = |bits: &u64| match kind {
        NumberKind::U64 => *bits,
        NumberKind::I64 => *bits ^ (1 << 63),
        NumberKind::F64 if *bits >> 63 == 1 => !*bits,
        NumberKind::F64 => *bits ^ (1 << 63),
    };
    match reduce {
        Reduce::Min => lanes.min_by_key(order).unwrap_or(0),
        Reduce::Avg => mean(kind, lanes).to_bits(),
        Reduce::Sum => lanes.fold(0, add_floats),
        Reduce::Max | Reduce::Split => lanes.max_by_key(order).unwrap_or(0),
    }
}

#[allow(clippy::cast_precision_loss)]
fn mean(kind: NumberKind, lanes: impl Iterator<Item = u64>) -> f64 {
    let (mut integers, mut floats, mut count) = (0i128, 0f64, 0u32);
    for bits in lanes {
        count += 1;
        match kind {
            NumberKind::U64 => integers += i128::from(bits),
            NumberKind::I64 => integers += i128::from(bits.cast_signed()),
            NumberKind::F64 => floats += f64::from_bits(bits),
        }
    }
    if count == 0 { 0.0 } else { (integers as f64 + floats) / f64::from(count) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Number;

    #[track_caller]
    fn check(value: (usize, usize, bool), reduce: Reduce, lanes: usize, values: &[u8], expected: &[Number]) {
        let (offset, width, signed) = value;
        let value =
            if signed { ValueSpec::signed(offset, width) } else { ValueSpec::unsigned(offset, width) };
        check_column(Column::new(value, reduce), lanes, values, expected);
    }

    #[track_caller]
    fn check_column(column: Column, lanes: usize, values: &[u8], expected: &[Number]) {
        let stride = values.len() / lanes;
        let shape = Shape { key_size: 4, value_size: stride, lanes, lane_stride: stride };
        let batch = Batch { shape, rows: 1, keys: &[0; 4], values };
        assert!(column.fits(shape));
        let mut out = Vec::new();
        column.project(&batch, &mut out);
        assert_eq!(out.len(), column.lanes(shape) * column.count);
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
        let fits = |offset, width| Column::new(ValueSpec::unsigned(offset, width), Reduce::Sum).fits(shape);
        assert!(fits(4, 8) && fits(11, 1));
        assert!(!fits(5, 8) && !fits(0, 3) && !fits(usize::MAX, 8));
    }

    #[test]
    fn floats_stay_floats() {
        use Number::F64;
        let single: Vec<u8> = [1.5f32, -2.5].iter().flat_map(|lane| lane.to_ne_bytes()).collect();
        let double: Vec<u8> = [1.5f64, -2.5].iter().flat_map(|lane| lane.to_ne_bytes()).collect();
        for (width, bytes) in [(4, single), (8, double)] {
            for (reduce, expected) in [
                (Reduce::Sum, vec![F64(-1.0)]),
                (Reduce::Max, vec![F64(1.5)]),
                (Reduce::Min, vec![F64(-2.5)]),
                (Reduce::Avg, vec![F64(-0.5)]),
                (Reduce::Split, vec![F64(1.5), F64(-2.5)]),
            ] {
                let value = ValueSpec { offset: 0, width, kind: ValueKind::Float };
                check_column(Column::new(value, reduce), 2, &bytes, &expected);
            }
        }
        let shape = Shape { key_size: 4, value_size: 8, lanes: 1, lane_stride: 8 };
        let half = ValueSpec { offset: 0, width: 2, kind: ValueKind::Float };
        assert!(!Column::new(half, Reduce::Sum).fits(shape));
    }

    #[test]
    fn bit_fields_are_cut_out_of_every_lane() {
        use Number::{I64, U64};
        let bytes = [0b1110_0101, 0x01, 0b0110_0000, 0x00];
        let column = |signed, reduce| {
            let kind = ValueKind::Bits(Bits { shift: 5, width: 4, signed });
            Column::new(ValueSpec { offset: 0, width: 2, kind }, reduce)
        };
        check_column(column(false, Reduce::Split), 2, &bytes, &[U64(15), U64(3)]);
        check_column(column(true, Reduce::Split), 2, &bytes, &[I64(-1), I64(3)]);
        check_column(column(true, Reduce::Sum), 2, &bytes, &[I64(2)]);
        check_column(column(false, Reduce::Max), 2, &bytes, &[U64(15)]);
    }

    #[test]
    fn arrays_are_summed_slot_by_slot_or_split() {
        use Number::U64;
        let bytes: Vec<u8> = [9u32, 1, 2, 9, 10, 20].iter().flat_map(|slot| slot.to_ne_bytes()).collect();
        let column = |reduce| Column { value: ValueSpec::unsigned(4, 4), count: 2, reduce };
        check_column(column(Reduce::Sum), 2, &bytes, &[U64(11), U64(22)]);
        check_column(column(Reduce::Split), 2, &bytes, &[U64(1), U64(2), U64(10), U64(20)]);
        check_column(column(Reduce::Sum), 1, &bytes[..12], &[U64(1), U64(2)]);
        let shape = Shape { key_size: 4, value_size: 12, lanes: 1, lane_stride: 16 };
        assert!(!Column { count: 3, ..column(Reduce::Sum) }.fits(shape));
        assert!(!column(Reduce::Max).fits(shape));
    }
}
