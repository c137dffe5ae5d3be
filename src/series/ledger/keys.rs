//! The keys that a ledger knows, and where each counts.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

const NONE: u32 = u32::MAX;
/// Places of which it is worth giving three quarters back.
const WORTH_SHRINKING: usize = 16 * 1024;

/// Keys of one size, in places that are used again.
///
/// A map is read in nearly the same order every time. So each key remembers which one came after
/// it, and in the steady state a pass walks that list through memory in order and hashes nothing.
/// The hash is seeded anew for each table, so that nobody who chooses keys can choose collisions.
#[derive(Debug, Default)]
pub(super) struct Keys {
    size: usize,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    free: Vec<u32>,
    /// The number of the pass; never 0.
    pass: u32,
    /// The key that came last in this pass.
    last: Option<u32>,
    /// The key that came first in the pass before.
    first: u32,
}

/// One key: where its number counts, what it last was, and how much of that counts elsewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) series: u32,
    pub(super) slot: u32,
    pub(super) last: u64,
    pub(super) base: u64,
    /// The pass that it was there in last; 0 of a place that is free.
    seen: u32,
    /// The key that came after it.
    next: u32,
}

impl Entry {
    /// A key that speaks for the first time.
    pub(super) fn new(series: u32, slot: u32, bits: u64) -> Self {
        Self { series, slot, last: bits, base: 0, seen: 0, next: NONE }
    }
}

impl Keys {
    /// Bytes that a key takes, with its share of the table.
    pub(super) fn cost(size: usize) -> usize {
        size + size_of::<Entry>() + 8
    }

    pub(super) fn new(size: usize) -> Self {
        Self { size, first: NONE, ..Self::default() }
    }

    /// Bytes of a key.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// How many places there are.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// Begins a pass.
    pub(super) fn begin(&mut self) {
        self.pass = self.pass.wrapping_add(1).max(1);
        self.last = None;
    }

    /// The place of a key that is there.
    #[inline]
    pub(super) fn find(&mut self, key: &[u8]) -> Option<u32> {
        let expected = match self.last {
            Some(last) => self.entries.get(last as usize).map_or(NONE, |entry| entry.next),
            None => self.first,
        };
        if Self::key(&self.bytes, self.size, expected) == key
            && self.entries.get(expected as usize).is_some_and(|entry| entry.seen != 0)
        {
            self.last = Some(expected);
            return Some(expected);
        }
        self.look_up(key)
    }

    fn look_up(&mut self, key: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        let index =
            self.table.find(hash, |index| Self::key(&self.bytes, self.size, *index) == key).copied()?;
        self.came(index);
        Some(index)
    }

    /// Remembers which key came after which.
    fn came(&mut self, index: u32) {
        match self.last.and_then(|last| self.entries.get_mut(last as usize)) {
            Some(last) => last.next = index,
            None => self.first = index,
        }
        self.last = Some(index);
    }

    /// What is known of the key in a place.
    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&Entry> {
        self.entries.get(index as usize)
    }

    /// The same when the key was not there before in this pass, and is from now on.
    #[inline]
    pub(super) fn meet(&mut self, index: u32) -> Option<&mut Entry> {
        let pass = self.pass;
        let entry = self.entries.get_mut(index as usize).filter(|entry| entry.seen != pass)?;
        entry.seen = pass;
        Some(entry)
    }

    /// Whether a key was there in this pass.
    pub(super) fn was_met(&self, index: u32) -> bool {
        self.get(index).is_some_and(|entry| entry.seen == self.pass)
    }

    /// Takes in a key that is not there.
    pub(super) fn insert(&mut self, key: &[u8], entry: Entry) {
        let entry = Entry { seen: self.pass.max(1), ..entry };
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.entries.push(entry);
                self.bytes.resize(self.bytes.len() + self.size, 0);
                u32::try_from(self.entries.len() - 1).unwrap_or(NONE)
            }
        };
        if let Some(place) = self.entries.get_mut(index as usize) {
            *place = entry;
        }
        let start = index as usize * self.size;
        if let Some(place) = self.bytes.get_mut(start..start + self.size) {
            place.copy_from_slice(key);
        }
        let (bytes, size, hasher) = (&self.bytes, self.size, &self.hasher);
        let hash = hasher.hash_one(key);
        self.table.insert_unique(hash, index, |index| hasher.hash_one(Self::key(bytes, size, *index)));
        self.came(index);
    }

    /// Forgets every key that was not there in this pass; `gone` is told what was known of it.
    pub(super) fn retain_met(&mut self, mut gone: impl FnMut(&Entry)) {
        for index in 0..self.entries.len() {
            let Some(entry) = self.entries.get_mut(index) else { continue };
            if entry.seen == self.pass || entry.seen == 0 {
                continue;
            }
            gone(entry);
            self.remove(u32::try_from(index).unwrap_or(NONE));
        }
        if self.entries.len() > WORTH_SHRINKING && self.len() < self.entries.len() / 4 {
            self.shrink();
        }
    }

    /// Gives back the memory of places that are free.
    fn shrink(&mut self) {
        let mut smaller = Self { pass: self.pass, ..Self::new(self.size) };
        for (index, entry) in (0u32..).zip(&self.entries).filter(|(_, entry)| entry.seen != 0) {
            smaller.insert(Self::key(&self.bytes, self.size, index), *entry);
        }
        *self = smaller;
    }

    /// Forgets a key.
    pub(super) fn remove(&mut self, index: u32) {
        let hash = self.hasher.hash_one(Self::key(&self.bytes, self.size, index));
        if let Ok(entry) = self.table.find_entry(hash, |other| *other == index) {
            entry.remove();
            self.free.push(index);
        }
        if let Some(entry) = self.entries.get_mut(index as usize) {
            entry.seen = 0;
        }
    }

    #[inline]
    fn key(bytes: &[u8], size: usize, index: u32) -> &[u8] {
        let start = (index as usize).saturating_mul(size);
        bytes.get(start..start.saturating_add(size)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    proptest::proptest! {
        /// In whatever order keys come, go and come back: each is found under its own number.
        #[test]
        fn every_order_finds_the_same(
            passes in proptest::collection::vec(proptest::collection::vec(0u8..20, 0..30), 1..20),
        ) {
            let mut keys = Keys::new(1);
            let mut known: BTreeMap<u8, u64> = BTreeMap::new();
            let mut number = 0;
            for pass in passes {
                keys.begin();
                for key in &pass {
                    let found = keys.find(&[*key]);
                    let last = found.and_then(|index| keys.get(index)).map(|entry| entry.last);
                    proptest::prop_assert_eq!(last, known.get(key).copied());
                    match found {
                        Some(index) => { keys.meet(index); }
                        None => {
                            number += 1;
                            keys.insert(&[*key], Entry::new(0, 0, number));
                            known.insert(*key, number);
                        }
                    }
                }
                let mut gone = Vec::new();
                keys.retain_met(|entry| gone.push(entry.last));
                let expected: Vec<u8> = known.keys().copied().filter(|key| !pass.contains(key)).collect();
                proptest::prop_assert_eq!(gone.len(), expected.len());
                for key in expected {
                    proptest::prop_assert!(known.remove(&key).is_some_and(|last| gone.contains(&last)));
                }
                proptest::prop_assert_eq!(keys.len(), known.len());
            }
        }
    }

    #[test]
    fn memory_of_keys_that_are_gone_is_given_back() {
        let mut keys = Keys::new(4);
        for count in [100_000u32, 1_000] {
            keys.begin();
            for key in 0..count {
                match keys.find(&key.to_ne_bytes()) {
                    Some(index) => assert!(keys.meet(index).is_some()),
                    None => keys.insert(&key.to_ne_bytes(), Entry::new(key, 0, 0)),
                }
            }
            keys.retain_met(|_| {});
        }
        assert_eq!((keys.len(), keys.entries.len(), keys.bytes.len()), (1_000, 1_000, 4_000));
        keys.begin();
        for key in 0..1_000u32 {
            let found =
                keys.find(&key.to_ne_bytes()).and_then(|index| keys.get(index)).map(|entry| entry.series);
            assert_eq!(found, Some(key));
        }
    }

    #[test]
    fn an_empty_key_is_a_key() {
        let mut keys = Keys::new(0);
        keys.begin();
        assert_eq!(keys.find(&[]), None);
        keys.insert(&[], Entry::new(7, 0, 1));
        assert_eq!(keys.find(&[]).and_then(|index| keys.get(index)).map(|entry| entry.series), Some(7));
    }
}
