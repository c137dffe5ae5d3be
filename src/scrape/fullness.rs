//! Maps that have hardly any room left: what is new is about to be lost.

use super::state::SourceStates;
use crate::snapshot::{Room, Source};

impl SourceStates {
    /// Keeps how many entries a map has that no scrape reads.
    pub(super) fn counted(&mut self, config: &str, map: &str, entries: u64) {
        self.entries.insert((config.to_owned(), map.to_owned()), entries);
    }

    /// Whether a map is more than nine tenths full, of one that refuses new keys when it is full; none of one
    /// that never does. The log tells it when that begins.
    pub(super) fn is_nearly_full(
        &mut self,
        config: &str,
        map: &str,
        source: &dyn Source,
        entries: u64,
    ) -> Option<bool> {
        if source.room() != Room::Refuses {
            return None;
        }
        let max_entries = source.max_entries()?;
        let is_full = entries.saturating_mul(10) > max_entries.saturating_mul(9);
        let name = (config.to_owned(), map.to_owned());
        if !is_full {
            self.nearly_full.remove(&name);
        } else if self.nearly_full.insert(name) {
            tracing::warn!(
                config,
                map,
                entries,
                max_entries,
                "a map is nearly full; it refuses new keys then"
            );
        }
        Some(is_full)
    }
}
