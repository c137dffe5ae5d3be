//! A map in user space, which the records of a stream count in.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hashbrown::HashTable;

use super::amount::Addend;
use super::key::{Key, halves};
use super::seed::Seed;
use crate::snapshot::{Batch, Limits, ReadError, ReadStatistics, Room, Shape, Source, Stream, Taken};
use crate::spec::EventSpec;

/// Rows in one batch of a read.
const BATCH: usize = 1024;

/// Counts what records say, by the bytes that labels are made of.
#[derive(Debug)]
pub struct Tally {
    shape: Shape,
    /// Entries that there is room for, but for the rest.
    limit: AtomicUsize,
    /// The key of the rest, where that is counted.
    rest: Option<Vec<u8>>,
    table: Mutex<Table>,
}

/// Rows lie side by side in the order in which their keys came; the index finds them.
#[derive(Debug)]
pub(super) struct Table {
    /// Rows with their keys, or with the hashes of long ones.
    index: HashTable<(u128, u32)>,
    seed: Seed,
    keys: Vec<u8>,
    values: Vec<[u8; 8]>,
    rows: usize,
    /// Whether one of them is the rest.
    has_rest: bool,
    /// Numbers in each row.
    words: usize,
    /// How often rows went elsewhere.
    layout: u64,
    /// How often everything was forgotten.
    epoch: u64,
    /// When it is next.
    due: Option<Instant>,
}

impl Tally {
    /// An empty one for events of a kind.
    #[must_use]
    pub fn new(spec: &EventSpec) -> Self {
        let (key_size, value_size) = (spec.key_size(), spec.words() * size_of::<u64>());
        let shape = Shape { key_size, value_size, lanes: 1, lane_stride: value_size };
        let limit = AtomicUsize::new(spec.max_entries());
        Self { shape, limit, rest: spec.rest_key(), table: Mutex::new(Table::new(spec.words())) }
    }

    /// Has room for as many as another version wants. Who is there already stays.
    pub(super) fn limit_as(&self, spec: &EventSpec) {
        self.limit.store(spec.max_entries(), Ordering::Relaxed);
    }

    fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
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

    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// An empty one, with so many numbers in each row.
    fn new(words: usize) -> Self {
        Self {
            index: HashTable::new(),
            seed: Seed::default(),
            keys: Vec::new(),
            values: Vec::new(),
            rows: 0,
            has_rest: false,
            words,
            layout: 0,
            epoch: 0,
            due: None,
        }
    }

    /// Changes whenever a row may be another key's.
    pub(super) fn layout(&self) -> u64 {
        self.layout
    }

    fn key(&self, row: u32, size: usize) -> &[u8] {
        let start = row as usize * size;
        self.keys.get(start..start + size).unwrap_or_default()
    }

    /// What the index has of a key: its hash, and what tells it from others of that hash.
    #[inline]
    fn tag(&self, key: Key<'_>) -> (u64, u128) {
        match key {
            Key::Short(packed) => (self.seed.fold(halves(packed)), packed),
            Key::Long(bytes) => {
                let hash = self.seed.hash(bytes);
                (hash, hash.into())
            }
        }
    }

    #[inline]
    fn find(&self, key: Key<'_>, (hash, tag): (u64, u128)) -> Option<u32> {
        let is_it = |(known, row): &(u128, u32)| {
            *known == tag
                && match key {
                    Key::Short(_) => true,
                    Key::Long(bytes) => self.key(*row, bytes.len()) == bytes,
                }
        };
        self.index.find(hash, is_it).map(|(_, row)| *row)
    }

    /// The row of a key, a new one when there is none; when there is no room for it that of the rest, or none. It is the
    /// key's until the layout changes.
    #[inline]
    pub(super) fn row(&mut self, key: Key<'_>, tally: &Tally) -> Option<u32> {
        let tag = self.tag(key);
        self.find(key, tag).or_else(|| self.new_row(key, tag, tally)).or_else(|| self.rest(tally))
    }

    #[cold]
    fn new_row(&mut self, key: Key<'_>, (hash, tag): (u64, u128), tally: &Tally) -> Option<u32> {
        if self.rows >= tally.limit() + usize::from(self.has_rest) {
            return None;
        }
        self.push_row(key, (hash, tag), tally)
    }

    /// The row of all that there is no room for.
    fn rest(&mut self, tally: &Tally) -> Option<u32> {
        let key = Key::new(tally.rest.as_deref()?);
        let tag = self.tag(key);
        if let Some(row) = self.find(key, tag) {
            return Some(row);
        }
        self.has_rest = true;
        self.push_row(key, tag, tally)
    }

    fn push_row(&mut self, key: Key<'_>, (hash, tag): (u64, u128), tally: &Tally) -> Option<u32> {
        let row = u32::try_from(self.rows).ok()?;
        let Shape { key_size, value_size, .. } = tally.shape;
        match key {
            Key::Short(packed) => self.keys.extend(packed.to_le_bytes().iter().take(key_size)),
            Key::Long(bytes) => self.keys.extend_from_slice(bytes),
        }
        self.values.resize(self.values.len() + value_size / 8, [0; 8]);
        self.rows += 1;
        let (seed, is_short) = (&self.seed, matches!(key, Key::Short(_)));
        #[allow(clippy::cast_possible_truncation, reason = "of long keys it is the hash")]
        let hash_of = |(tag, _): &(u128, u32)| if is_short { seed.fold(halves(*tag)) } else { *tag as u64 };
        self.index.insert_unique(hash, (tag, row), hash_of);
        Some(row)
    }

    /// Adds to the number of a row, which has no other.
    #[inline]
    pub(super) fn count(&mut self, row: usize, number: u64) {
        if let Some(word) = self.values.get_mut(row * self.words) {
            *word = u64::from_ne_bytes(*word).wrapping_add(number).to_ne_bytes();
        }
    }

    #[inline]
    pub(super) fn add(&mut self, row: usize, addend: Addend) {
        let words = self.words;
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
    fn remove(&mut self, key: &[u8], is_rest: bool) {
        let (size, words) = (key.len(), self.words);
        let (hash, _) = self.tag(Key::new(key));
        let is_it = |(_, row): &(u128, u32)| {
            self.keys.get(*row as usize * size..(*row as usize + 1) * size) == Some(key)
        };
        let Ok(found) = self.index.find_entry(hash, is_it) else { return };
        let ((_, row), _) = found.remove();
        self.layout += 1;
        self.rows -= 1;
        self.has_rest &= !is_rest;
        let last = u32::try_from(self.rows).unwrap_or(u32::MAX);
        if row != last {
            let (hash, _) = self.tag(Key::new(self.key(last, size)));
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
    pub(super) fn flush_if_due(&mut self, every: Option<Duration>, now: Instant) {
        let Some(every) = every else { return };
        let due = *self.due.get_or_insert(now + every);
        if now < due {
            self.due = Some(due.min(now + every));
            return;
        }
        let (layout, epoch) = (self.layout + 1, self.epoch + 1);
        *self = Self { layout, epoch, due: Some(now + every), ..Self::new(self.words) };
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
        Some((self.tally.limit() + usize::from(self.tally.rest.is_some())) as u64)
    }

    fn room(&self) -> Room {
        if self.tally.rest.is_some() { Room::Merges } else { Room::Refuses }
    }

    fn expected_entries(&self) -> usize {
        self.tally.table().rows
    }

    fn take(&self, key: &[u8], expected: &[u8], last: &mut Vec<u8>) -> Result<Taken, ReadError> {
        let words = self.tally.shape.value_size / 8;
        let mut table = self.tally.table();
        let wanted = Key::new(key);
        let found = table.find(wanted, table.tag(wanted));
        let Some(row) = found.map(|row| row as usize) else { return Ok(Taken::Gone) };
        let value = table.values.get(row * words..(row + 1) * words).unwrap_or_default().as_flattened();
        if value != expected {
            return Ok(Taken::Changed);
        }
        last.clear();
        last.extend_from_slice(value);
        table.remove(key, self.tally.rest.as_deref() == Some(key));
        Ok(Taken::Out)
    }

    fn read(
        &self,
        limits: &Limits,
        push: &mut dyn FnMut(Batch<'_>) -> Result<(), ReadError>,
    ) -> Result<ReadStatistics, ReadError> {
        self.stream.drain(limits.deadline)?;
        let Shape { key_size, value_size, .. } = self.tally.shape;
        let (words, began) = (value_size / size_of::<u64>(), self.tally.table().epoch);
        let (mut keys, mut values, mut first) = (Vec::new(), Vec::new(), 0);
        // Batch by batch, so that nobody waits while it is looked at. Rows stay where they are meanwhile: they are
        // taken out between reads alone.
        loop {
            let table = self.tally.table();
            if table.epoch != began {
                return Err(ReadError::Again);
            }
            let end = table.rows.min(first + BATCH);
            keys.clear();
            keys.extend_from_slice(table.keys.get(first * key_size..end * key_size).unwrap_or_default());
            values.clear();
            values.extend_from_slice(table.values.get(first * words..end * words).unwrap_or_default());
            drop(table);
            let (rows, values) = (end - first, values.as_flattened());
            if rows > 0 {
                push(Batch { shape: self.tally.shape, rows, keys: &keys, values })?;
            }
            first = end;
            if rows < BATCH {
                break;
            }
        }
        let (entries, epoch) = (first as u64, began);
        Ok(ReadStatistics { entries, vanished: 0, epoch })
    }
}
