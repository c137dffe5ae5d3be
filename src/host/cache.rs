//! A bounded cache that forgets what is old and what nobody asks for.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// A map of at most `capacity` entries, each of which is good until a time of its own.
///
/// Two generations stand in for an exact order of use: what is asked for moves
/// to the young one; when that is half of the capacity, the old one is dropped
/// and the young one becomes old. So all work is constant time, and what is
/// asked for at least as often as the cache turns over is never dropped.
#[derive(Debug)]
pub struct TtlCache<K, V> {
    half: usize,
    young: HashMap<K, (V, Duration)>,
    old: HashMap<K, (V, Duration)>,
}

impl<K: Eq + Hash, V> TtlCache<K, V> {
    /// An empty cache; it holds two entries at least.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { half: (capacity / 2).max(1), young: HashMap::new(), old: HashMap::new() }
    }

    /// What is known of a key and still good now.
    pub fn get<Q>(&mut self, key: &Q, now: Duration) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some((key, entry)) = self.old.remove_entry(key) {
            self.put(key, entry);
        }
        match self.young.get(key) {
            Some((value, until)) if now < *until => Some(value),
            _ => None,
        }
    }

    /// Remembers a value until a time.
    pub fn insert(&mut self, key: K, value: V, until: Duration) {
        self.old.remove(&key);
        self.put(key, (value, until));
    }

    /// Forgets a key and gives what was known of it, good or not.
    pub fn remove<Q>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let young = self.young.remove(key);
        let old = self.old.remove(key);
        young.or(old).map(|(value, _)| value)
    }

    /// How many entries are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn put(&mut self, key: K, entry: (V, Duration)) {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOREVER: Duration = Duration::MAX;
    const NOW: Duration = Duration::from_secs(10);

    #[test]
    fn an_entry_is_good_until_its_time() {
        let mut cache = TtlCache::new(8);
        cache.insert(1, "a", NOW);
        assert_eq!(cache.get(&1, NOW - Duration::from_nanos(1)), Some(&"a"));
        assert_eq!(cache.get(&1, NOW), None);
        assert_eq!(cache.get(&2, NOW), None);
    }

    #[test]
    fn the_last_value_of_a_key_counts() {
        let mut cache = TtlCache::new(2);
        cache.insert(1, "a", FOREVER);
        cache.insert(2, "b", FOREVER);
        cache.insert(1, "c", FOREVER);
        assert_eq!(cache.get(&1, NOW), Some(&"c"));
        assert_eq!(cache.remove(&1), Some("c"));
        assert_eq!(cache.get(&1, NOW), None);
    }

    #[test]
    fn it_is_bounded() {
        for capacity in [0, 1, 2, 3, 100] {
            let mut cache = TtlCache::new(capacity);
            for key in 0..1000 {
                cache.insert(key, key, FOREVER);
                cache.get(&(key / 2), NOW);
                assert!(cache.len() <= capacity.max(2));
            }
            assert!(!cache.is_empty());
        }
    }

    #[test]
    fn what_is_asked_for_stays() {
        let mut cache = TtlCache::new(100);
        cache.insert(0, 0, FOREVER);
        for key in 1..10_000 {
            cache.insert(key, key, FOREVER);
            if key % 20 == 0 {
                assert_eq!(cache.get(&0, NOW), Some(&0), "after {key} others");
            }
        }
    }
}
