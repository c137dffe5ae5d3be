//! How long entries have been as they are.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// Entries whose ages are remembered, at 16 bytes each; others wait until some of these are gone.
const MOST: usize = 1 << 21;

/// Since when each entry of a map has had its value.
///
/// An entry is remembered by one number for key and value together: when either changes it is another one.
#[derive(Debug)]
pub(super) struct Ages {
    hasher: RandomState,
    began: Instant,
    /// In milliseconds since the beginning.
    since: HashMap<u64, u32>,
    next: HashMap<u64, u32>,
    most: usize,
}

impl Default for Ages {
    fn default() -> Self {
        Self::bounded(MOST)
    }
}

impl Ages {
    fn bounded(most: usize) -> Self {
        let (since, next) = (HashMap::new(), HashMap::new());
        Self { hasher: RandomState::new(), began: Instant::now(), since, next, most }
    }

    /// Begins a look at all entries.
    pub(super) fn begin(&mut self) {
        self.next.clear();
    }

    /// How long an entry has been as it is, by what is known of it.
    pub(super) fn age(&mut self, key: &[u8], value: &[u8], now: Instant) -> Duration {
        let number = self.hasher.hash_one((key, value));
        let now = u32::try_from((now - self.began).as_millis()).unwrap_or(u32::MAX);
        let since = self.since.get(&number).copied().unwrap_or(now);
        if self.next.len() < self.most {
            self.next.insert(number, since);
        }
        Duration::from_millis(now.saturating_sub(since).into())
    }

    /// Ends a look that met all entries: what it did not meet is forgotten.
    pub(super) fn finish(&mut self) {
        self.since = std::mem::take(&mut self.next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One look at a second; the ages in seconds.
    fn look(ages: &mut Ages, second: u64, entries: &[(u8, u8)]) -> Vec<u64> {
        let now = ages.began + Duration::from_secs(second);
        ages.begin();
        let seconds =
            entries.iter().map(|(key, value)| ages.age(&[*key], &[*value], now).as_secs()).collect();
        ages.finish();
        seconds
    }

    #[test]
    fn an_entry_is_as_old_as_its_value() {
        let mut ages = Ages::default();
        assert_eq!(look(&mut ages, 1, &[(1, 10), (2, 20)]), [0, 0]);
        assert_eq!(look(&mut ages, 4, &[(2, 20), (1, 11), (3, 30)]), [3, 0, 0]);
        assert_eq!(look(&mut ages, 9, &[(1, 11), (2, 20)]), [5, 8]);
        // What was away is new.
        assert_eq!(look(&mut ages, 11, &[(3, 30), (2, 20)]), [0, 10]);
    }

    #[test]
    fn a_look_that_did_not_end_changes_nothing() {
        let mut ages = Ages::default();
        look(&mut ages, 1, &[(1, 10), (2, 20)]);
        ages.begin();
        ages.age(&[1], &[10], ages.began + Duration::from_secs(2));
        assert_eq!(look(&mut ages, 3, &[(1, 10), (2, 20)]), [2, 2]);
    }

    #[test]
    fn what_there_is_no_room_for_is_always_new() {
        let mut ages = Ages::bounded(1);
        look(&mut ages, 1, &[(1, 10), (2, 20)]);
        assert_eq!(look(&mut ages, 3, &[(1, 10), (2, 20)]), [2, 0]);
        assert_eq!(look(&mut ages, 5, &[(2, 20)]), [0]);
        assert_eq!(look(&mut ages, 7, &[(2, 20)]), [2]);
    }
}
