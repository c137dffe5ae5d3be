//! What a ledger is told beside the passes: which series stay without a key, and what keys said
//! that were deleted.

use super::{Ledger, add, less, minus, plus};

/// A series that never falls.
#[derive(Debug)]
pub(super) struct Kept {
    set: u32,
    /// The pass that kept it.
    epoch: u64,
    /// What its slots said in the pass before.
    said: Vec<u64>,
    /// Whether there was no room for some keys then.
    had_untracked: bool,
}

impl Ledger {
    /// How many keys are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.keys.len()
    }

    /// Publishes a series from now on whether a key speaks for it or not; one that is not there is not made.
    /// As long as every pass keeps it, it does not even fall when there was no room to remember its keys.
    pub fn keep(&mut self, list: &[u8]) {
        let epoch = self.epoch;
        let Some(set) = self.sets.find(list) else { return };
        if let Some(life) = self.lives.get_mut(set as usize) {
            (life.founded, life.held) = (true, epoch);
        }
        match &mut self.kept {
            Some(kept) if kept.set == set && kept.epoch + 1 >= epoch => kept.epoch = epoch,
            kept => *kept = Some(Kept { set, epoch, said: Vec::new(), had_untracked: false }),
        }
    }

    /// Ends a pass for the series that is kept. What is missing of what it said before was said by keys that there was
    /// no room to remember, and that are gone: it is retired now.
    pub(super) fn hold_up(&mut self) {
        let (kind, stride) = (self.shape.kind, self.shape.stride);
        let Some(kept) = self.kept.as_mut().filter(|kept| kept.epoch == self.epoch) else { return };
        kept.said.resize(stride, 0);
        let may_miss = std::mem::replace(&mut kept.had_untracked, self.untracked > 0);
        let start = kept.set as usize * stride;
        let now = self.current.get(start..).unwrap_or_default();
        let past = self.retired.get_mut(start..).unwrap_or_default();
        for ((said, now), past) in kept.said.iter_mut().zip(now).zip(past) {
            let says = plus(kind, *now, *past);
            if may_miss && less(kind, says, *said) {
                *past = plus(kind, *past, minus(kind, *said, says));
            } else {
                *said = says;
            }
        }
    }

    /// Goes on publishing series for which no key speaks only when `may_stay` says so.
    pub fn retain_founded(&mut self, mut may_stay: impl FnMut(&[u8]) -> bool) {
        for (set, life) in (0u32..).zip(&mut self.lives) {
            life.founded = life.founded && may_stay(self.sets.list(set));
        }
    }

    /// From now on what is told are the last words of keys that have just been deleted, between two
    /// passes; or not any more.
    pub fn hear_last_words(&mut self, is_last: bool) {
        self.is_last = is_last;
    }

    /// What a key said in the end stays in the sum of its series. The key is forgotten: when it comes back it
    /// is a new one, however much it has counted by then.
    pub(super) fn last_word(&mut self, key: &[u8], series: u32, slot: u32, bits: u64) {
        let kind = self.shape.kind;
        let index = self.keys.find(key);
        let Some((index, entry)) = index.and_then(|index| Some((index, *self.keys.get(index)?))) else {
            return self.bequest(series, slot, bits);
        };
        let (counted, cell) = (minus(kind, entry.last, entry.base), self.cell(entry.series, entry.slot));
        if self.keys.was_met(index)
            && let Some(now) = self.current.get_mut(cell)
        {
            *now = minus(kind, *now, counted);
        }
        let base = if less(kind, bits, entry.last) {
            // It was made again since it was last heard of.
            add(kind, &mut self.retired, cell, counted);
            0
        } else {
            entry.base
        };
        add(kind, &mut self.retired, cell, minus(kind, bits, base));
        self.keys.remove(index);
    }

    /// Adds what a key said that no pass ever met.
    fn bequest(&mut self, series: u32, slot: u32, bits: u64) {
        if let Some(life) = self.lives.get_mut(series as usize) {
            // A series without a key is one that was there, and is not there any more.
            life.held = life.held.max(self.epoch.saturating_sub(1)).max(1);
        }
        let cell = self.cell(series, slot);
        add(self.shape.kind, &mut self.retired, cell, bits);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{finish, ledger, pass, series};

    #[test]
    fn a_kept_series_stays_and_a_key_that_leaves_it_takes_nothing_along() {
        let mut ledger = ledger(100, 100);
        ledger.keep(b"rest");
        assert_eq!(pass(&mut ledger, &[(1, "rest", 10), (2, "rest", 5)]), series([("rest", 15)]));
        ledger.keep(b"rest");
        // Key 1 gets a series of its own, which begins with what is new.
        assert_eq!(pass(&mut ledger, &[(1, "x", 12), (2, "rest", 6)]), series([("rest", 16), ("x", 2)]));
        assert_eq!(pass(&mut ledger, &[(1, "x", 13)]), series([("rest", 16), ("x", 3)]));
        ledger.retain_founded(|list| list != b"rest");
        assert_eq!(pass(&mut ledger, &[(1, "x", 13)]), series([("x", 3)]));
        assert_eq!(pass(&mut ledger, &[(3, "rest", 1)]), series([("rest", 17)]));
    }

    /// A pass that keeps the series `rest`.
    fn keeping(ledger: &mut super::Ledger, rows: &[(u8, u64)]) -> u64 {
        ledger.begin();
        for (key, value) in rows {
            ledger.add(&[*key], b"rest", 0, *value);
        }
        ledger.keep(b"rest");
        finish(ledger)["rest"]
    }

    /// Keys for which there is no room are shown as they are: what they said is missed when they go.
    #[test]
    fn a_kept_series_does_not_fall_when_there_is_no_room_for_its_keys() {
        let mut ledger = ledger(1, 100);
        assert_eq!(keeping(&mut ledger, &[(1, 10), (2, 5), (3, 7)]), 22);
        assert_eq!(ledger.untracked(), 2);
        assert_eq!(keeping(&mut ledger, &[(1, 10), (2, 6), (3, 7)]), 23);
        assert_eq!(keeping(&mut ledger, &[(1, 10), (2, 6)]), 23);
        assert_eq!(keeping(&mut ledger, &[(1, 11)]), 23);
        // Nothing was missed since.
        assert_eq!(keeping(&mut ledger, &[(1, 12)]), 24);
        assert_eq!(keeping(&mut ledger, &[]), 24);
        assert_eq!(keeping(&mut ledger, &[(3, 1)]), 25);
        // Series that nobody keeps are as they were.
        assert_eq!(pass(&mut ledger, &[(3, "x", 9), (4, "y", 2)])["y"], 2);
    }

    /// Deletes keys that said this in the end.
    fn delete(ledger: &mut super::Ledger, rows: &[(u8, &str, usize, u64)]) {
        ledger.hear_last_words(true);
        for (key, label, slot, bits) in rows {
            ledger.add(&[*key], label.as_bytes(), *slot, *bits);
            ledger.hold(&[*key]);
        }
        ledger.hear_last_words(false);
    }

    #[test]
    fn the_last_word_of_a_key_stays_in_the_sum() {
        let mut ledger = ledger(100, 100);
        pass(&mut ledger, &[(1, "x", 10), (2, "x", 5), (3, "y", 1)]);
        delete(&mut ledger, &[(1, "x", 0, 12), (3, "y", 0, 1)]);
        assert_eq!(pass(&mut ledger, &[(2, "x", 5)]), series([("x", 17)]));
        // It comes back as a new one.
        assert_eq!(pass(&mut ledger, &[(1, "x", 3), (2, "x", 5)]), series([("x", 20)]));
        // Made again, and deleted before a pass met it.
        delete(&mut ledger, &[(1, "x", 0, 2)]);
        assert_eq!(pass(&mut ledger, &[(2, "x", 5)]), series([("x", 22)]));
    }

    #[test]
    fn a_key_that_comes_back_with_more_is_a_new_one() {
        let mut ledger = ledger(100, 100);
        pass(&mut ledger, &[(1, "x", 3), (2, "x", 1)]);
        delete(&mut ledger, &[(1, "x", 0, 7)]);
        assert_eq!(ledger.remembered(), 1);
        // What is kept is right between two passes, too.
        let mut next = super::Ledger::new(ledger.shape().clone());
        next.take_over(&ledger, |_| 1.0, true);
        assert_eq!(pass(&mut next, &[]), series([("x", 8)]));
        assert_eq!(pass(&mut ledger, &[(1, "x", 11), (2, "x", 1)]), series([("x", 19)]));
    }

    #[test]
    fn what_no_pass_ever_met_is_not_lost() {
        let mut ledger = ledger(100, 100);
        delete(&mut ledger, &[(1, "x", 0, 7), (2, "x", 1, 100)]);
        assert_eq!(pass(&mut ledger, &[]), series([]));
        assert_eq!(pass(&mut ledger, &[(1, "x", 3)]), series([("x", 10)]));
    }
}
