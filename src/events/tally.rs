//! A map in user space, which the records of a stream count in.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::plan::{Addend, Plan, Taken as Read};
use crate::snapshot::{
    Batch, Limits, Loss, Losses, ReadError, ReadStatistics, Records, Room, Shape, Sink, Source, Stream, Taken,
};
use crate::spec::EventSpec;

/// Rows in one batch of a read.
const BATCH: usize = 1024;

/// Counts what records say, by the bytes that labels are made of.
#[derive(Debug)]
pub struct Tally {
    shape: Shape,
    limit: usize,
    table: Mutex<Table>,
}

/// Rows lie side by side in the order in which their keys came; the index finds them.
#[derive(Debug, Default)]
struct Table {
    /// Rows with the hashes of their keys.
    index: HashTable<(u64, u32)>,
    seed: Seed,
    keys: Vec<u8>,
    values: Vec<[u8; 8]>,
    rows: usize,
    /// How often everything was forgotten.
    epoch: u64,
    /// When it is next.
    due: Option<Instant>,
}

/// Hashes keys, differently in each process.
#[derive(Debug)]
struct Seed {
    words: [u64; 2],
    long: DefaultHashBuilder,
}

impl Default for Seed {
    fn default() -> Self {
        let long = DefaultHashBuilder::default();
        Self { words: [0, 1].map(|word: u64| long.hash_one(word)), long }
    }
}

impl Seed {
    /// Most keys are some numbers: their two halves are multiplied, as the hasher for longer ones does it.
    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        let Some((first, last)) = halves(key) else {
            let mut hasher = self.long.build_hasher();
            hasher.write(key);
            return hasher.finish();
        };
        let [one, other] = self.words;
        let product = u128::from(first ^ one) * u128::from(last ^ other);
        #[allow(clippy::cast_possible_truncation, reason = "both halves of it count")]
        let folded = (product as u64) ^ ((product >> 64) as u64);
        folded
    }
}

/// Of a key of 4 to 16 bytes its first and its last ones, which together are all of it.
#[inline]
fn halves(key: &[u8]) -> Option<(u64, u64)> {
    let long = |chunk: &[u8; 8]| u64::from_ne_bytes(*chunk);
    let short = |chunk: &[u8; 4]| u64::from(u32::from_ne_bytes(*chunk));
    match key.len() {
        8..=16 => Some((long(key.first_chunk()?), long(key.last_chunk()?))),
        4..=7 => Some((short(key.first_chunk()?), short(key.last_chunk()?))),
        _ => None,
    }
}

/// Whether two keys of one length are the same.
#[inline]
fn same(one: &[u8], other: &[u8]) -> bool {
    match (halves(one), halves(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

impl Tally {
    /// An empty one for events of a kind.
    #[must_use]
    pub fn new(spec: &EventSpec) -> Self {
        let (key_size, value_size) = (spec.key_size(), spec.words() * size_of::<u64>());
        let shape = Shape { key_size, value_size, lanes: 1, lane_stride: value_size };
        Self { shape, limit: spec.max_entries(), table: Mutex::default() }
    }

    /// What there is of each key.
    #[must_use]
    pub fn entries(&self) -> BTreeMap<Vec<u8>, Vec<u64>> {
        let (table, words) = (self.table(), self.shape.value_size / size_of::<u64>());
        let values = table.values.chunks(words).map(|row| row.iter().map(|word| u64::from_ne_bytes(*word)));
        table
            .keys
            .chunks(self.shape.key_size)
            .map(<[u8]>::to_vec)
            .zip(values.map(Iterator::collect))
            .collect()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn key(&self, row: u32, size: usize) -> &[u8] {
        let start = row as usize * size;
        self.keys.get(start..start + size).unwrap_or_default()
    }

    fn find(&self, key: &[u8]) -> Option<u32> {
        let hash = self.seed.hash(key);
        self.index
            .find(hash, |(known, row)| *known == hash && same(self.key(*row, key.len()), key))
            .map(|(_, row)| *row)
    }

    /// The row of a key, a new one when there is none; none when there is no room for it.
    #[inline]
    fn row(&mut self, key: &[u8], tally: &Tally) -> Option<usize> {
        if let Some(row) = self.find(key) {
            return Some(row as usize);
        }
        let row = u32::try_from(self.rows).ok().filter(|row| (*row as usize) < tally.limit)?;
        self.keys.extend_from_slice(key);
        self.values.resize(self.values.len() + tally.shape.value_size / 8, [0; 8]);
        self.rows += 1;
        let hash = self.seed.hash(key);
        self.index.insert_unique(hash, (hash, row), |(hash, _)| *hash);
        Some(row as usize)
    }

    #[inline]
    fn add(&mut self, row: usize, words: usize, addend: Addend) {
        let Some(values) = self.values.get_mut(row * words..(row + 1) * words) else { return };
        let add = |word: Option<&mut [u8; 8]>, number: u64| {
            if let Some(word) = word {
                *word = u64::from_ne_bytes(*word).wrapping_add(number).to_ne_bytes();
            }
        };
        match addend {
            Addend::Integer(number) => add(values.first_mut(), number),
            Addend::Float(number) => {
                if let Some(word) = values.first_mut() {
                    *word = (f64::from_ne_bytes(*word) + number).to_ne_bytes();
                }
            }
            Addend::Slot(slot, number) => {
                add(values.get_mut(slot), 1);
                add(values.last_mut(), number);
            }
        }
    }

    /// Forgets a row; the last one takes its place.
    fn remove(&mut self, key: &[u8], words: usize) {
        let size = key.len();
        let hash = self.seed.hash(key);
        let is_it = |(known, row): &(u64, u32)| {
            *known == hash && self.keys.get(*row as usize * size..(*row as usize + 1) * size) == Some(key)
        };
        let Ok(found) = self.index.find_entry(hash, is_it) else { return };
        let ((_, row), _) = found.remove();
        self.rows -= 1;
        let last = u32::try_from(self.rows).unwrap_or(u32::MAX);
        if row != last {
            let hash = self.seed.hash(self.key(last, size));
            if let Some((_, moved)) = self.index.find_mut(hash, |(_, row)| *row == last) {
                *moved = row;
            }
            self.keys.copy_within(last as usize * size.., row as usize * size);
            self.values.copy_within(last as usize * words.., row as usize * words);
        }
        self.keys.truncate(self.rows * size);
        self.values.truncate(self.rows * words);
    }

    /// Forgets everything each time it is due.
    fn flush(&mut self, every: Duration, now: Instant) {
        let due = *self.due.get_or_insert(now + every);
        if now < due {
            self.due = Some(due.min(now + every));
            return;
        }
        *self = Self { epoch: self.epoch + 1, due: Some(now + every), ..Self::default() };
    }
}

/// Brings the records of a stream to a tally.
#[derive(Debug)]
pub struct TallySink {
    plan: Plan,
    flush: Option<Duration>,
    tally: Arc<Tally>,
    /// For keys that do not lie side by side.
    room: Vec<u8>,
}

impl TallySink {
    /// One that reads records as a metric wants it.
    #[must_use]
    pub fn new(spec: &EventSpec, tally: Arc<Tally>) -> Self {
        Self { plan: Plan::new(spec), flush: spec.flush, tally, room: Vec::new() }
    }
}

impl Sink for TallySink {
    fn needs(&self) -> usize {
        self.plan.needs
    }

    fn record(&mut self, records: &Records, now: Instant, losses: &mut Losses) {
        let mut table = self.tally.table();
        if let Some(every) = self.flush {
            table.flush(every, now);
        }
        let words = self.tally.shape.value_size / 8;
        for (nth, record) in records.iter().enumerate() {
            match self.plan.take(record, &mut self.room) {
                Read::Passes => {}
                Read::Broken => losses.lose(nth, Loss::Decode),
                Read::Adds(key, addend) => match table.row(key, &self.tally) {
                    Some(row) => table.add(row, words, addend),
                    None => losses.lose(nth, Loss::SeriesLimit),
                },
            }
        }
    }
}

/// A tally with the stream that feeds it: whoever reads sees every event that could be had then.
pub(super) struct TallySource {
    pub(super) tally: Arc<Tally>,
    pub(super) stream: Arc<dyn Stream>,
}

impl Source for TallySource {
    fn shape(&self) -> Shape {
        self.tally.shape
    }

    fn max_entries(&self) -> Option<u64> {
        Some(self.tally.limit as u64)
    }

    fn room(&self) -> Room {
        Room::Refuses
    }

    fn expected_entries(&self) -> usize {
        self.tally.table().rows
    }

    fn take(&self, key: &[u8], expected: &[u8], last: &mut Vec<u8>) -> Result<Taken, ReadError> {
        let words = self.tally.shape.value_size / 8;
        let mut table = self.tally.table();
        let Some(row) = table.find(key).map(|row| row as usize) else { return Ok(Taken::Gone) };
        let value = table.values.get(row * words..(row + 1) * words).unwrap_or_default().as_flattened();
        if value != expected {
            return Ok(Taken::Changed);
        }
        last.clear();
        last.extend_from_slice(value);
        table.remove(key, words);
        Ok(Taken::Out)
    }

    fn read(
        &self,
        limits: &Limits,
        push: &mut dyn FnMut(Batch<'_>) -> Result<(), ReadError>,
    ) -> Result<ReadStatistics, ReadError> {
        self.stream.drain(limits.deadline)?;
        let Shape { key_size, value_size, .. } = self.tally.shape;
        // Copied at once, so that nobody waits while it is looked at.
        let (keys, values, entries, epoch) = {
            let table = self.tally.table();
            (table.keys.clone(), table.values.clone(), table.rows as u64, table.epoch)
        };
        let values = values.as_flattened().chunks(value_size * BATCH);
        for (keys, values) in keys.chunks(key_size * BATCH).zip(values) {
            push(Batch { shape: self.tally.shape, rows: keys.len() / key_size, keys, values })?;
        }
        Ok(ReadStatistics { entries, vanished: 0, epoch })
    }
}
