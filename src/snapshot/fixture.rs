//! Sources for tests and benchmarks: literal, failing, slow, changing.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Batch, Limits, ProgramStatus, Programs, ReadError, ReadStatistics, Room, Shape, Source, Taken};

/// Rows in one batch, as the kernel's reader has some hundred.
const BATCH: usize = 256;

/// Holds what it was given.
#[derive(Debug)]
pub struct Literal {
    shape: Shape,
    rows: Mutex<(Vec<u8>, Vec<u8>)>,
    reads: AtomicUsize,
}

impl Literal {
    /// Entries of one shape; keys and values that are not of it are a bug of the test.
    pub fn new<'a>(shape: Shape, rows: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let source = Self { shape, rows: Mutex::default(), reads: AtomicUsize::new(0) };
        source.replace(rows);
        source
    }

    /// Entries with a 4-byte key and an 8-byte value.
    pub fn from_numbers(rows: impl IntoIterator<Item = (u32, u64)>) -> Self {
        let shape = Shape { key_size: 4, value_size: 8, lanes: 1, lane_stride: 8 };
        let rows: Vec<_> =
            rows.into_iter().map(|(key, value)| (key.to_ne_bytes(), value.to_ne_bytes())).collect();
        Self::new(shape, rows.iter().map(|(key, value)| (&key[..], &value[..])))
    }

    /// Holds other entries from now on.
    pub fn replace<'a>(&self, rows: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for (key, value) in rows {
            assert_eq!(key.len(), self.shape.key_size, "the key's size");
            assert_eq!(value.len(), self.shape.lanes * self.shape.lane_stride, "the value's size");
            keys.extend_from_slice(key);
            values.extend_from_slice(value);
        }
        *self.rows.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = (keys, values);
    }

    /// How often it was read.
    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

impl Source for Literal {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn max_entries(&self) -> Option<u64> {
        Some(1 << 20)
    }

    fn read(
        &self,
        _limits: &Limits,
        push: &mut dyn FnMut(Batch<'_>) -> Result<(), ReadError>,
    ) -> Result<ReadStatistics, ReadError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let rows = self.rows.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Shape { key_size, lanes, lane_stride, .. } = self.shape;
        let (keys, values) = (rows.0.chunks(key_size * BATCH), rows.1.chunks(lanes * lane_stride * BATCH));
        for (keys, values) in keys.zip(values) {
            push(Batch { shape: self.shape, rows: keys.len() / key_size, keys, values })?;
        }
        Ok(ReadStatistics { entries: (rows.0.len() / key_size) as u64, vanished: 0, epoch: 0 })
    }
}

const NUMBERS: Shape = Shape { key_size: 4, value_size: 8, lanes: 1, lane_stride: 8 };

/// Pushes one good batch, then fails.
#[derive(Debug)]
pub struct Failing(pub ReadError);

impl Source for Failing {
    fn shape(&self) -> Shape {
        NUMBERS
    }

    fn max_entries(&self) -> Option<u64> {
        None
    }

    fn read(
        &self,
        _limits: &Limits,
        push: &mut dyn FnMut(Batch<'_>) -> Result<(), ReadError>,
    ) -> Result<ReadStatistics, ReadError> {
        push(Batch { shape: NUMBERS, rows: 1, keys: &[0; 4], values: &[1; 8] })?;
        Err(self.0.clone())
    }
}

/// Takes its time before each of its two batches.
#[derive(Debug)]
pub struct Slow(pub Duration);

impl Source for Slow {
    fn shape(&self) -> Shape {
        NUMBERS
    }

    fn max_entries(&self) -> Option<u64> {
        None
    }

    fn read(
        &self,
        _limits: &Limits,
        push: &mut dyn FnMut(Batch<'_>) -> Result<(), ReadError>,
    ) -> Result<ReadStatistics, ReadError> {
        for key in 0..2u32 {
            std::thread::sleep(self.0);
            let (keys, values) = (&key.to_ne_bytes(), &u64::from(key).to_ne_bytes());
            push(Batch { shape: NUMBERS, rows: 1, keys, values })?;
        }
        Ok(ReadStatistics { entries: 2, vanished: 0, epoch: 0 })
    }
}

/// Pushes something else than it announced.
#[derive(Debug)]
pub struct Misshapen;

impl Source for Misshapen {
    fn shape(&self) -> Shape {
        NUMBERS
    }

    fn max_entries(&self) -> Option<u64> {
        None
    }

    fn read(
        &self,
        _limits: &Limits,
        push: &mut dyn FnMut(Batch<'_>) -> Result<(), ReadError>,
    ) -> Result<ReadStatistics, ReadError> {
        push(Batch { shape: NUMBERS, rows: 2, keys: &[0; 8], values: &[1; 8] })?;
        Ok(ReadStatistics::default())
    }
}

/// Programs that say what they were told to.
#[derive(Debug, Default)]
pub struct LiteralPrograms(pub Vec<ProgramStatus>);

impl Programs for LiteralPrograms {
    fn programs(&self) -> Vec<ProgramStatus> {
        self.0.clone()
    }
}

/// Entries that can be taken out.
pub struct Table {
    shape: Shape,
    max_entries: u64,
    room: Room,
    rows: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    at_take: Mutex<Box<AtTake>>,
}

/// What becomes of a key that is to be taken out: it may change its value in this moment.
type AtTake = dyn FnMut(&[u8], &mut Vec<u8>) -> Result<Taken, ReadError> + Send;

impl Table {
    /// Holds nothing yet.
    pub fn new(shape: Shape, max_entries: u64, room: Room) -> Self {
        let at_take: Box<AtTake> = Box::new(|_, _| Ok(Taken::Out));
        Self { shape, max_entries, room, rows: Mutex::default(), at_take: Mutex::new(at_take) }
    }

    /// A hash with 4-byte keys and 8-byte values.
    pub fn of_numbers(max_entries: u64) -> Self {
        Self::new(NUMBERS, max_entries, Room::Refuses)
    }

    /// Gives a key a value.
    pub fn set(&self, key: &[u8], value: &[u8]) {
        self.lock().insert(key.to_vec(), value.to_vec());
    }

    /// Asks this from now on when an entry is to be taken out.
    pub fn at_take(&self, ask: impl FnMut(&[u8], &mut Vec<u8>) -> Result<Taken, ReadError> + Send + 'static) {
        *self.at_take.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Box::new(ask);
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        self.rows.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Source for Table {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn max_entries(&self) -> Option<u64> {
        Some(self.max_entries)
    }

    fn room(&self) -> Room {
        self.room
    }

    fn take(&self, key: &[u8], expected: &[u8], last: &mut Vec<u8>) -> Result<Taken, ReadError> {
        let mut rows = self.lock();
        let Some(value) = rows.get(key) else { return Ok(Taken::Gone) };
        if value != expected {
            return Ok(Taken::Changed);
        }
        last.clone_from(value);
        let mut ask = self.at_take.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let taken = ask(key, last)?;
        if taken == Taken::Out {
            rows.remove(key);
        }
        Ok(taken)
    }

    fn read(
        &self,
        _limits: &Limits,
        push: &mut dyn FnMut(Batch<'_>) -> Result<(), ReadError>,
    ) -> Result<ReadStatistics, ReadError> {
        let rows = self.lock();
        for (keys, values) in rows.iter() {
            push(Batch { shape: self.shape, rows: 1, keys, values })?;
        }
        Ok(ReadStatistics { entries: rows.len() as u64, vanished: 0, epoch: 0 })
    }
}
