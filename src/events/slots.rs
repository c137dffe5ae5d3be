//! Small numbers for short keys.

use super::seed::Seed;

/// Keys that are remembered at the most. They are forgotten together, which costs a look at the tallies for each that
/// comes again, and no count.
const MOST: usize = 1 << 16;

/// Places of an empty index.
const FEWEST: usize = 64;

/// No key's number.
pub(super) const NONE: u32 = u32::MAX;

/// Numbers keys in the order in which they came, and counts the records of each in a batch.
///
/// The keys lie in the index itself, of which at most half is taken: mostly one look is enough. An attacker who chooses
/// keys does not know where they go, because the hash is of this process alone.
#[derive(Debug)]
pub(super) struct Slots {
    seed: Seed,
    /// As many as a power of two.
    index: Vec<Entry>,
    keys: Vec<[u64; 2]>,
    /// Records of this batch, by the number of their key.
    counts: Vec<u32>,
    /// The numbers of keys that have any, in the order in which they came.
    met: Vec<u32>,
    /// For each record of this batch the number of its key.
    of_records: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// In two halves, so that an entry takes 24 bytes and not 32.
    key: [u64; 2],
    slot: u32,
}

const FREE: Entry = Entry { key: [0; 2], slot: NONE };

impl Default for Slots {
    fn default() -> Self {
        Self {
            seed: Seed::default(),
            index: vec![FREE; FEWEST],
            keys: Vec::new(),
            counts: Vec::new(),
            met: Vec::new(),
            of_records: Vec::new(),
        }
    }
}

impl Slots {
    /// Begins a batch of so many records; whether all keys were forgotten.
    pub(super) fn begin(&mut self, records: usize) -> bool {
        for slot in self.met.drain(..) {
            if let Some(count) = self.counts.get_mut(slot as usize) {
                *count = 0;
            }
        }
        self.of_records.clear();
        let is_full = self.keys.len() + records > MOST;
        if is_full {
            self.index.fill(FREE);
            self.keys.clear();
            self.counts.clear();
        }
        is_full
    }

    /// Takes the batch's records, so many: whether each counts, and by which key. These are no options, because the loop
    /// then has all of it in registers.
    #[inline]
    pub(super) fn take(&mut self, records: usize, keys: impl Iterator<Item = (bool, [u64; 2])>) {
        let mut of_records = std::mem::take(&mut self.of_records);
        of_records.resize(records, NONE);
        let mut to = of_records.iter_mut();
        for (counts, key) in keys {
            let Some(to) = to.next() else { break };
            if counts {
                *to = self.slot(key);
            }
        }
        // By itself, so that looking for the next key does not wait for it.
        for slot in &of_records {
            if let Some(count) = self.counts.get_mut(*slot as usize) {
                if *count == 0 {
                    self.met.push(*slot);
                }
                *count += 1;
            }
        }
        self.of_records = of_records;
    }

    /// The same when all of them count by the one key that there is.
    pub(super) fn take_all(&mut self, records: usize) {
        let slot = self.slot([0; 2]);
        if let (Some(count), Ok(records)) = (self.counts.get_mut(slot as usize), u32::try_from(records)) {
            *count = records;
            self.met.push(slot);
        }
        self.of_records.resize(records, slot);
    }

    /// The number of a key.
    #[inline]
    fn slot(&mut self, key: [u64; 2]) -> u32 {
        let mask = self.index.len() - 1;
        let mut at = self.place(key) & mask;
        while let Some(entry) = self.index.get(at).filter(|entry| entry.slot != NONE) {
            if entry.key == key {
                return entry.slot;
            }
            at = (at + 1) & mask;
        }
        self.add(key, at)
    }

    /// Where a key is looked for first, in an index of any length.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "any bits of it will do")]
    fn place(&self, key: [u64; 2]) -> usize {
        self.seed.fold(key) as usize
    }

    /// A new key, whose place in the index is free.
    #[cold]
    #[inline(never)]
    fn add(&mut self, key: [u64; 2], at: usize) -> u32 {
        let slot = u32::try_from(self.keys.len()).unwrap_or(NONE);
        self.keys.push(key);
        self.counts.push(0);
        if let Some(entry) = self.index.get_mut(at) {
            *entry = Entry { key, slot };
        }
        if self.keys.len() * 2 > self.index.len() {
            self.grow();
        }
        slot
    }

    fn grow(&mut self) {
        let mut index = vec![FREE; self.index.len() * 2];
        let mask = index.len() - 1;
        for (key, slot) in self.keys.iter().zip(0..) {
            let mut at = self.place(*key) & mask;
            while index.get(at).is_some_and(|entry| entry.slot != NONE) {
                at = (at + 1) & mask;
            }
            if let Some(entry) = index.get_mut(at) {
                *entry = Entry { key: *key, slot };
            }
        }
        self.index = index;
    }

    /// The key of a number.
    pub(super) fn key(&self, slot: u32) -> Option<u128> {
        let [low, high] = *self.keys.get(slot as usize)?;
        Some(u128::from(high) << 64 | u128::from(low))
    }

    /// How many numbers there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The numbers of the keys that this batch has, with how many records each has.
    pub(super) fn met(&self) -> impl Iterator<Item = (u32, u64)> {
        let count = |slot: &u32| self.counts.get(*slot as usize).copied().unwrap_or(0);
        self.met.iter().map(move |slot| (*slot, count(slot).into()))
    }

    /// For each record of the batch the number of its key, [`NONE`] for those that pass.
    pub(super) fn of_records(&self) -> &[u32] {
        &self.of_records
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::halves;
    use super::*;

    /// What was met in a batch: each key with its records.
    fn batch(slots: &mut Slots, keys: &[Option<u128>]) -> (bool, Vec<(u128, u64)>) {
        let is_anew = slots.begin(keys.len());
        slots.take(keys.len(), keys.iter().map(|key| (key.is_some(), halves(key.unwrap_or(0)))));
        let key = |slot: u32| slots.key(slot).unwrap();
        let of_records: Vec<_> =
            slots.of_records().iter().map(|slot| (*slot != NONE).then(|| key(*slot))).collect();
        assert_eq!(of_records, keys);
        (is_anew, slots.met().map(|(slot, count)| (key(slot), count)).collect())
    }

    #[test]
    fn records_are_counted_by_key_and_batch() {
        let mut slots = Slots::default();
        let all = [Some(7), None, Some(0), Some(7), Some(u128::MAX), Some(1 << 64), Some(7)];
        let expected = (false, vec![(7, 3), (0, 1), (u128::MAX, 1), (1 << 64, 1)]);
        (0..3).for_each(|_| assert_eq!(batch(&mut slots, &all), expected));
        assert_eq!(batch(&mut slots, &[None, Some(0)]), (false, vec![(0, 1)]));
        assert_eq!(batch(&mut slots, &[]), (false, vec![]));
        assert_eq!(slots.len(), 4);
        slots.begin(5);
        slots.take_all(5);
        assert_eq!((slots.met().collect::<Vec<_>>(), slots.of_records()), (vec![(1, 5)], [1; 5].as_slice()));
        slots.begin(0);
        assert_eq!(slots.met().count(), 0);
    }

    #[test]
    fn keys_without_end_are_forgotten_and_never_confused() {
        let (mut slots, mut times) = (Slots::default(), 0);
        for nth in 0..200u128 {
            let keys: Vec<_> = (0..1000).map(|key| Some((nth * 1000 + key) << 60)).collect();
            let (is_anew, met) = batch(&mut slots, &keys);
            assert!(met.len() == 1000 && met.iter().all(|(_, count)| *count == 1));
            times += u32::from(is_anew);
            assert!(slots.len() <= MOST && slots.index.len() <= 2 * MOST);
        }
        assert_eq!(times, 3);
    }
}
