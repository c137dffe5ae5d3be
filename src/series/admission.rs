//! Which label sets of a metric are published when there are more than it may have.
//!
//! Who was admitted stays so as long as it is there, so that series do not come and go with the
//! order in which a map is read. Only admitted sets are remembered: what is left out costs nothing.

use std::time::{Duration, Instant};

use super::LabelSets;

/// The label sets that one metric may publish.
#[derive(Debug)]
pub struct Admission {
    /// What gives the sets their meaning: label names and bounds.
    meaning: String,
    limit: usize,
    /// When the pass at hand began.
    now: Instant,
    sets: LabelSets,
    /// By set: the last pass that met it; none of one that is not there.
    seen: Vec<Option<Instant>>,
}

impl Admission {
    /// Nobody is admitted yet.
    #[must_use]
    pub fn new(meaning: &str, limit: usize, now: Instant) -> Self {
        Self { meaning: meaning.to_owned(), limit, now, sets: LabelSets::default(), seen: Vec::new() }
    }

    /// Begins a pass over all rows of a read. Of sets that mean something else none is kept, and of
    /// more than there may be now those that were met last.
    pub fn begin(&mut self, meaning: &str, limit: usize, now: Instant) {
        if self.meaning != meaning {
            *self = Self::new(meaning, limit, now);
        }
        (self.limit, self.now) = (limit, now);
        if self.sets.len() > limit {
            self.shrink();
        }
    }

    /// Whether a label set may be published. One that is new may as long as there is room.
    pub fn admit(&mut self, list: &[u8]) -> bool {
        if self.renew(list) {
            return true;
        }
        if self.sets.len() >= self.limit {
            return false;
        }
        let (set, _) = self.sets.intern(list);
        self.seen.resize(self.sets.capacity(), None);
        self.met(set);
        true
    }

    /// Whether a label set was admitted; then it is there in this pass.
    fn renew(&mut self, list: &[u8]) -> bool {
        self.sets.find(list).map(|set| self.met(set)).is_some()
    }

    /// Whether a label set was admitted.
    #[must_use]
    pub fn has(&self, list: &[u8]) -> bool {
        self.sets.find(list).is_some()
    }

    /// Ends a pass: gives the place up of each set that has been gone for so long.
    pub fn finish(&mut self, grace: Duration) {
        let gone: Vec<u32> = self
            .living()
            .filter(|(_, seen)| *seen < self.now && *seen + grace <= self.now)
            .map(|(set, _)| set)
            .collect();
        gone.into_iter().for_each(|set| self.forget(set));
    }

    /// How many label sets are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    fn met(&mut self, set: u32) {
        if let Some(seen) = self.seen.get_mut(set as usize) {
            *seen = Some(self.now);
        }
    }

    fn living(&self) -> impl Iterator<Item = (u32, Instant)> {
        (0u32..).zip(&self.seen).filter_map(|(set, seen)| Some((set, (*seen)?)))
    }

    fn forget(&mut self, set: u32) {
        self.sets.remove(set);
        if let Some(seen) = self.seen.get_mut(set as usize) {
            *seen = None;
        }
    }

    /// Gives up what is beyond the limit: what was met longest ago goes first, then what came last.
    fn shrink(&mut self) {
        let mut order: Vec<_> = self.living().map(|(set, seen)| (seen, std::cmp::Reverse(set))).collect();
        order.sort_unstable();
        order.truncate(self.sets.len() - self.limit);
        order.into_iter().for_each(|(_, set)| self.forget(set.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(300);

    fn at(second: u64) -> Instant {
        use std::sync::OnceLock;
        static BEGAN: OnceLock<Instant> = OnceLock::new();
        *BEGAN.get_or_init(Instant::now) + Duration::from_secs(second)
    }

    /// One pass at a second; which of the sets are admitted.
    fn pass(admission: &mut Admission, limit: usize, second: u64, sets: &[&str]) -> String {
        admission.begin("a", limit, at(second));
        let admitted = sets.iter().filter(|set| admission.admit(set.as_bytes())).copied().collect();
        admission.finish(GRACE);
        admitted
    }

    #[test]
    fn who_was_admitted_stays_whatever_comes_first() {
        let mut admission = Admission::new("a", 2, at(0));
        assert_eq!(pass(&mut admission, 2, 1, &["a", "b", "c", "a"]), "aba");
        assert_eq!(pass(&mut admission, 2, 2, &["c", "b", "d", "a"]), "ba");
        assert!(admission.has(b"a") && !admission.has(b"c"));
    }

    #[test]
    fn a_place_is_free_when_its_set_has_been_gone_for_a_while() {
        let mut admission = Admission::new("a", 2, at(0));
        pass(&mut admission, 2, 1, &["a", "b"]);
        assert_eq!(pass(&mut admission, 2, 10, &["c", "b"]), "b");
        assert_eq!(pass(&mut admission, 2, 200, &["c", "a", "b"]), "ab");
        assert_eq!(pass(&mut admission, 2, 499, &["c", "b"]), "b");
        assert_eq!(pass(&mut admission, 2, 500, &["c", "b"]), "b");
        assert_eq!(pass(&mut admission, 2, 501, &["c", "a", "b"]), "cb");
    }

    #[test]
    fn a_lower_limit_keeps_what_is_there_and_came_first() {
        let mut admission = Admission::new("a", 4, at(0));
        pass(&mut admission, 4, 1, &["a", "b", "c", "d"]);
        pass(&mut admission, 4, 2, &["b", "c", "d"]);
        assert_eq!(pass(&mut admission, 2, 3, &["d", "c", "b", "a"]), "cb");
        assert_eq!(pass(&mut admission, 3, 4, &["d", "a", "c", "b"]), "dcb");
        assert_eq!(pass(&mut admission, 0, 5, &["a", "b"]), "");
    }

    #[test]
    fn sets_of_another_meaning_are_forgotten() {
        let mut admission = Admission::new("a", 1, at(0));
        pass(&mut admission, 1, 1, &["a"]);
        admission.begin("b", 1, at(2));
        assert!(admission.is_empty() && admission.admit(b"b"));
    }

    #[test]
    fn a_million_sets_leave_what_is_remembered_where_it_was() {
        let mut admission = Admission::new("a", 100, at(0));
        for turn in 0..1_000u64 {
            admission.begin("a", 100, at(turn * 600 + 1));
            let admitted = (0..1_000u64).filter(|n| admission.admit(&(turn * 1_000 + n).to_ne_bytes()));
            // Every other pass finds that those of the one before it are gone.
            assert_eq!(admitted.count(), if turn % 2 == 0 { 100 } else { 0 });
            admission.finish(GRACE);
        }
        assert!(admission.len() <= 100 && admission.seen.len() <= 100, "{}", admission.seen.len());
    }
}
