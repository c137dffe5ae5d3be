//! What a source held when it was read.

use std::sync::Arc;
use std::time::Instant;

use super::spare::{Buffers, Spare};
use super::{Batch, Column, KeyForm, Limits, ReadError, ReadStatistics, Shape, Source};
use crate::series::NumberKind;

/// The entries of one source, flat and owned: whole keys, and of the values only what is needed.
#[derive(Debug)]
pub struct Snapshot {
    shape: Shape,
    rows: usize,
    keys: Vec<u8>,
    columns: Vec<ColumnData>,
    /// Whether all keys have each form that was asked for.
    forms: Vec<bool>,
    statistics: ReadStatistics,
    /// Where its memory goes.
    spare: Option<Arc<Spare>>,
}

/// What is asked of a source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// The numbers that are needed.
    pub columns: &'a [Column],
    /// The forms that its keys may have.
    pub forms: &'a [KeyForm],
    /// Where memory comes from and goes back to, when it is to be used again.
    pub spare: Option<&'a Arc<Spare>>,
}

/// The numbers of one column, row by row, lane by lane.
#[derive(Debug)]
struct ColumnData {
    column: Column,
    lanes: usize,
    bits: Vec<u64>,
}

/// One column of a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Numbers<'a> {
    /// What the bits mean.
    pub kind: NumberKind,
    /// Lanes of each row.
    pub lanes: usize,
    /// Numbers of each lane.
    pub count: usize,
    /// `rows * lanes * count` numbers.
    pub bits: &'a [u64],
}

impl Snapshot {
    /// Reads a source whole.
    ///
    /// # Errors
    /// When it cannot be read whole within the limits, or is not of the shape that the columns need.
    pub fn read(source: &dyn Source, columns: &[Column], limits: &Limits) -> Result<Self, ReadError> {
        Self::read_on(1, source, Wanted { columns, ..Wanted::default() }, limits)
    }

    /// Reads a source whole, by so many threads where that is possible.
    ///
    /// # Errors
    /// As [`Snapshot::read`].
    pub fn read_on(
        threads: usize,
        source: &dyn Source,
        wanted: Wanted<'_>,
        limits: &Limits,
    ) -> Result<Self, ReadError> {
        match Self::try_read(threads, source, wanted, limits) {
            Err(ReadError::Again) => Self::try_read(threads, source, wanted, limits),
            result => result,
        }
    }

    fn try_read(
        threads: usize,
        source: &dyn Source,
        Wanted { columns, forms, spare }: Wanted<'_>,
        limits: &Limits,
    ) -> Result<Self, ReadError> {
        let shape = source.shape();
        if !columns.iter().all(|column| column.fits(shape)) {
            return Err(ReadError::Shape);
        }
        let Buffers { keys, bits } = spare.map(|spare| spare.take(columns.len())).unwrap_or_default();
        let bits = bits.into_iter().chain(std::iter::repeat_with(Vec::new));
        let mut snapshot = Self {
            shape,
            rows: 0,
            keys,
            columns: columns
                .iter()
                .zip(bits)
                .map(|(column, bits)| ColumnData { column: *column, lanes: column.lanes(shape), bits })
                .collect(),
            forms: vec![true; forms.len()],
            statistics: ReadStatistics::default(),
            spare: spare.cloned(),
        };
        snapshot.make_room(source.expected_entries(), limits);
        snapshot.statistics =
            source.read_on(threads, limits, &mut |batch| snapshot.append(&batch, forms, limits))?;
        // A source that never pushed could not notice that it was late.
        if Instant::now() > limits.deadline { Err(ReadError::Late) } else { Ok(snapshot) }
    }

    /// How many entries there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The shape of the source.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The keys, in the order read.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.keys.chunks_exact(self.shape.key_size.max(1))
    }

    /// A column, by its place in what was asked for.
    #[must_use]
    pub fn numbers(&self, column: usize) -> Option<Numbers<'_>> {
        let data = self.columns.get(column)?;
        Some(Numbers {
            kind: data.column.kind(),
            lanes: data.lanes,
            count: data.column.count,
            bits: &data.bits,
        })
    }

    /// Whether all keys have a form, by its place in what was asked for.
    #[must_use]
    pub fn has_form(&self, form: usize) -> bool {
        self.forms.get(form).copied().unwrap_or(false)
    }

    /// What the read had to tell.
    #[must_use]
    pub fn statistics(&self) -> ReadStatistics {
        self.statistics
    }

    /// Bytes that it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.keys.len() + self.columns.iter().map(|data| data.bits.len() * size_of::<u64>()).sum::<usize>()
    }

    /// Makes room for so many rows and a few more, so that buffers need not grow to twice of what is needed.
    /// A guess must not cost the read: what cannot be had at once is asked for batch by batch.
    fn make_room(&mut self, rows: usize, limits: &Limits) {
        let rows = rows.saturating_add(rows / 16);
        if rows.saturating_mul(self.row_bytes()) > limits.max_bytes {
            return;
        }
        let _ = self.keys.try_reserve_exact(rows * self.shape.key_size);
        for data in &mut self.columns {
            let _ = data.bits.try_reserve_exact(rows * data.lanes * data.column.count);
        }
    }

    /// Bytes of one row.
    fn row_bytes(&self) -> usize {
        let numbers = |data: &ColumnData| data.lanes * data.column.count * size_of::<u64>();
        self.shape.key_size + self.columns.iter().map(numbers).sum::<usize>()
    }

    fn append(&mut self, batch: &Batch<'_>, forms: &[KeyForm], limits: &Limits) -> Result<(), ReadError> {
        let Shape { key_size, lanes, lane_stride, .. } = self.shape;
        let rows = batch.rows;
        let whole = batch.shape == self.shape
            && rows.checked_mul(key_size) == Some(batch.keys.len())
            && lanes.checked_mul(lane_stride).and_then(|row| row.checked_mul(rows))
                == Some(batch.values.len());
        if !whole {
            return Err(ReadError::Shape);
        }
        if Instant::now() > limits.deadline {
            return Err(ReadError::Late);
        }
        if self.bytes().saturating_add(rows.saturating_mul(self.row_bytes())) > limits.max_bytes {
            return Err(ReadError::TooLarge(limits.max_bytes));
        }
        for (form, has_form) in forms.iter().zip(&mut self.forms) {
            // One key without it is enough.
            *has_form = *has_form && form.is_of_all(batch.keys);
        }
        self.keys.extend_from_slice(batch.keys);
        for data in &mut self.columns {
            data.column.project(batch, &mut data.bits);
        }
        self.rows += rows;
        Ok(())
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if let Some(spare) = self.spare.take() {
            let bits = self.columns.iter_mut().map(|data| std::mem::take(&mut data.bits)).collect();
            spare.give(Buffers { keys: std::mem::take(&mut self.keys), bits });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::snapshot::fixture::{self, Literal};
    use crate::snapshot::{Reduce, ValueSpec};

    const COLUMN: Column = Column::new(ValueSpec::unsigned(0, 8), Reduce::Sum);

    fn limits(max_bytes: usize) -> Limits {
        Limits { deadline: Instant::now() + Duration::from_secs(10), max_bytes }
    }

    #[test]
    fn all_batches_are_kept_in_order() {
        let source = Literal::from_numbers((0..1000u32).map(|n| (n, u64::from(n) * 3)));
        let snapshot = Snapshot::read(&source, &[COLUMN], &limits(1 << 20)).unwrap();
        assert_eq!((snapshot.rows(), snapshot.bytes()), (1000, 12_000));
        assert_eq!(snapshot.statistics().entries, 1000);
        let numbers = snapshot.numbers(0).unwrap();
        for ((key, bits), n) in snapshot.keys().zip(numbers.bits).zip(0u32..) {
            assert_eq!((key, *bits), (&n.to_ne_bytes()[..], u64::from(n) * 3));
        }
        assert!(snapshot.numbers(1).is_none());
    }

    #[test]
    fn memory_is_used_again() {
        let source = Literal::from_numbers((0..1000u32).map(|n| (n, u64::from(n) * 3)));
        let spare = Arc::default();
        let wanted = Wanted { columns: &[COLUMN], forms: &[], spare: Some(&spare) };
        let read = || Snapshot::read_on(1, &source, wanted, &limits(1 << 20)).unwrap();
        let place = |snapshot: &Snapshot| (snapshot.keys.as_ptr(), snapshot.columns[0].bits.as_ptr());
        let first = read();
        let (second, expected) = (read(), place(&first));
        assert_ne!(place(&second), expected, "both are held");
        drop(first);
        let third = read();
        assert_eq!(place(&third), expected);
        assert!(third.keys().eq(second.keys()) && third.keys().len() == 1000);
        assert_eq!(third.numbers(0).unwrap().bits, second.numbers(0).unwrap().bits);
    }

    #[test]
    fn limits_hold() {
        let source = Literal::from_numbers((0..1000u32).map(|n| (n, 1)));
        let error = Snapshot::read(&source, &[COLUMN], &limits(11_999)).unwrap_err();
        assert!(matches!(error, ReadError::TooLarge(11_999)), "{error:?}");
        let late = Limits { deadline: Instant::now() - Duration::from_millis(1), max_bytes: 1 << 20 };
        assert!(matches!(Snapshot::read(&source, &[COLUMN], &late), Err(ReadError::Late)));
        let empty = Literal::from_numbers(std::iter::empty());
        assert!(matches!(Snapshot::read(&empty, &[COLUMN], &late), Err(ReadError::Late)));
    }

    /// Rows of a batch of the source, whose last one is not whole.
    const ROWS: u32 = 256 * 3 + 100;

    #[track_caller]
    fn check_forms(odd: Option<u32>, expected: [bool; 2]) {
        let source =
            Literal::from_numbers((0..ROWS).map(|n| (if odd == Some(n) { 0x61_0061 } else { 0x61 }, 1)));
        // A text, and a number of three bytes.
        let forms = [
            KeyForm::new(4, std::iter::once(0..4).collect(), Vec::new()),
            KeyForm::new(4, Vec::new(), vec![0, 0, 0, 0xff]),
        ];
        let wanted = Wanted { columns: &[COLUMN], forms: &forms, spare: None };
        let snapshot = Snapshot::read_on(1, &source, wanted, &limits(1 << 20)).unwrap();
        assert_eq!([0, 1].map(|form| snapshot.has_form(form)), expected, "{odd:?}");
        assert!(!snapshot.has_form(2), "nobody asked for it");
    }

    #[test]
    fn one_key_without_a_form_is_seen_at_the_border_of_each_batch() {
        check_forms(None, [true, true]);
        for row in [0, 1, 255, 256, 257, 511, 512, 767, 768, ROWS - 1] {
            check_forms(Some(row), [false, true]);
        }
    }

    #[test]
    fn what_does_not_have_the_announced_shape_is_refused() {
        let wide = Column::new(ValueSpec::unsigned(4, 8), Reduce::Sum);
        let source = Literal::from_numbers([(1u32, 1)]);
        assert!(matches!(Snapshot::read(&source, &[wide], &limits(1 << 20)), Err(ReadError::Shape)));
        assert!(matches!(
            Snapshot::read(&fixture::Misshapen, &[COLUMN], &limits(1 << 20)),
            Err(ReadError::Shape)
        ));
    }
}
