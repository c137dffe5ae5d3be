//! Keys whose label sets are not published.

use crate::series::LabelSets;

/// Keys that were skipped, so that they need not be decoded again. When half of its size is
/// new, the older half is forgotten; its memory is used for what comes next.
#[derive(Debug, Default)]
pub(super) struct SkipCache {
    young: LabelSets,
    old: LabelSets,
}

impl SkipCache {
    pub(super) fn contains(&self, key: &[u8]) -> bool {
        self.young.find(key).is_some() || self.old.find(key).is_some()
    }

    /// Adds a key that it does not contain.
    pub(super) fn insert(&mut self, key: &[u8], size: usize) {
        if size == 0 {
            return;
        }
        if self.young.len() >= size.div_ceil(2) {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.intern(key);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_skip_cache_is_bounded_and_forgets_the_oldest() {
        let mut cache = SkipCache::default();
        for key in 0..100u8 {
            cache.insert(&[key], 10);
            assert!(cache.contains(&[key]) && cache.len() <= 10);
        }
        assert!(!cache.contains(&[0]) && cache.contains(&[95]));
        let mut off = SkipCache::default();
        off.insert(&[1], 0);
        assert!(!off.contains(&[1]));
    }
}
