//! The keys that a scan has met.

use std::hash::{BuildHasher, RandomState};

/// A set of keys of one size, in one buffer.
pub(super) struct Seen {
    size: usize,
    keys: Vec<u8>,
    /// Open addressing; 0 is free, else the key's number plus one.
    slots: Vec<u32>,
    len: usize,
    hasher: RandomState,
}

const FIRST_SLOTS: usize = 1024;

impl Seen {
    /// A set for keys of `size` bytes.
    pub(super) fn new(size: usize) -> Self {
        Self { size, keys: Vec::new(), slots: vec![0; FIRST_SLOTS], len: 0, hasher: RandomState::new() }
    }

    /// Adds a key; false when it is there already.
    pub(super) fn insert(&mut self, key: &[u8]) -> bool {
        if (self.len + 1) * 2 > self.slots.len() {
            self.double();
        }
        let slot = self.slot(key);
        if self.slots.get(slot) != Some(&0) {
            return false;
        }
        self.keys.extend_from_slice(key);
        self.len += 1;
        self.occupy(slot, self.len);
        true
    }

    /// Whether a key is there.
    pub(super) fn contains(&self, key: &[u8]) -> bool {
        self.slots.get(self.slot(key)).is_some_and(|number| *number != 0)
    }

    fn occupy(&mut self, slot: usize, number: usize) {
        // Capacities are 32 bits in the kernel, and scans bounded by them; a key that does
        // not fit is merely not remembered.
        if let (Some(slot), Ok(number)) = (self.slots.get_mut(slot), u32::try_from(number)) {
            *slot = number;
        }
    }

    /// The slot that holds a key, or the free one where it belongs.
    fn slot(&self, key: &[u8]) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = self.hasher.hash_one(key) as usize & mask;
        loop {
            match self.slots.get(slot) {
                Some(&number) if number != 0 && self.key(number as usize) != Some(key) => {
                    slot = (slot + 1) & mask
                }
                _ => return slot,
            }
        }
    }

    fn key(&self, number: usize) -> Option<&[u8]> {
        self.keys.get((number - 1) * self.size..number * self.size)
    }

    fn double(&mut self) {
        self.slots = vec![0; self.slots.len() * 2];
        for number in 1..=self.len {
            if let Some(slot) = self.key(number).map(|key| self.slot(key)) {
                self.occupy(slot, number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_new_once() {
        let mut seen = Seen::new(4);
        for number in 0..5000_u32 {
            assert!(!seen.contains(&number.to_le_bytes()));
            assert!(seen.insert(&number.to_le_bytes()), "{number} is new");
            assert!(!seen.insert(&number.to_le_bytes()), "{number} is known");
        }
        assert!((0..5000_u32).all(|number| seen.contains(&number.to_le_bytes())));
        assert!(!seen.contains(&5000_u32.to_le_bytes()));
    }
}
