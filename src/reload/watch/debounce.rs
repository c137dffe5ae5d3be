//! When files that change have come to rest. Pure: instants in, a deadline out.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// So many files that are being written are remembered. Whoever writes more at a time
/// is looked at after the quiet period, which costs one look more.
const MOST_WRITERS: usize = 1024;

/// What happened to a name in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It came: created, linked, or renamed to this name.
    Appeared,
    /// It went: removed, or renamed to another name.
    Vanished,
    /// Its content changed, and whoever did that still has it open.
    Written,
    /// Somebody who could write closed it.
    Closed,
    /// Its owner, mode or times changed.
    Attributes,
}

impl Change {
    /// Whether the name holds something else now than before.
    pub(super) fn is_of_the_name(self) -> bool {
        matches!(self, Self::Appeared | Self::Vanished)
    }
}

/// Collects changes into one moment to look.
///
/// That is when nothing changed for the quiet period and no file is left half-written,
/// but never later than the bound after the first change: a storm, or a writer who keeps
/// a file open, must not put it off for ever.
#[derive(Debug)]
pub(super) struct Debounce {
    quiet: Duration,
    bound: Duration,
    pending: Option<Pending>,
}

#[derive(Debug)]
struct Pending {
    first: Instant,
    last: Instant,
    /// Changed and not closed yet.
    writing: HashSet<PathBuf>,
}

impl Debounce {
    pub(super) fn new(quiet: Duration, bound: Duration) -> Self {
        Self { quiet, bound, pending: None }
    }

    /// Takes in a change of one path.
    pub(super) fn note(&mut self, path: &Path, change: Change, now: Instant) {
        let writing = &mut self.note_any(now).writing;
        match change {
            Change::Written if writing.len() < MOST_WRITERS => {
                writing.insert(path.to_owned());
            }
            // The name holds another file now, or none: who wrote to it writes elsewhere.
            Change::Closed | Change::Appeared | Change::Vanished => {
                writing.remove(path);
            }
            Change::Written | Change::Attributes => {}
        }
    }

    /// Takes in that something changed, and nobody knows what.
    pub(super) fn note_unknown(&mut self, now: Instant) {
        self.note_any(now);
    }

    fn note_any(&mut self, now: Instant) -> &mut Pending {
        let pending =
            self.pending.get_or_insert_with(|| Pending { first: now, last: now, writing: HashSet::new() });
        pending.last = now;
        pending
    }

    /// When to look; none when nothing changed since the last look.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let pending = self.pending.as_ref()?;
        let bound = pending.first + self.bound;
        Some(if pending.writing.is_empty() { bound.min(pending.last + self.quiet) } else { bound })
    }

    /// Whether to look now. If so, what was pending counts as seen: whoever asks has to look.
    pub(super) fn take_due(&mut self, now: Instant) -> bool {
        let is_due = self.deadline().is_some_and(|deadline| deadline <= now);
        if is_due {
            self.pending = None;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: u64 = 100;
    const BOUND: u64 = 3000;

    /// Feeds changes at milliseconds; the moments of all looks.
    fn looks(changes: &[(u64, &str, Change)]) -> Vec<u64> {
        let start = Instant::now();
        let at = |milliseconds: u64| start + Duration::from_millis(milliseconds);
        let mut debounce = Debounce::new(Duration::from_millis(QUIET), Duration::from_millis(BOUND));
        let mut looks = Vec::new();
        let mut look_until = |debounce: &mut Debounce, until: Option<u64>| {
            while let Some(deadline) = debounce.deadline() {
                if until.is_some_and(|until| at(until) < deadline) {
                    return;
                }
                assert!(!debounce.take_due(deadline - Duration::from_nanos(1)), "not before its time");
                assert!(debounce.take_due(deadline));
                looks.push(u64::try_from((deadline - start).as_millis()).unwrap());
            }
        };
        for &(now, path, change) in changes {
            look_until(&mut debounce, Some(now));
            debounce.note(Path::new(path), change, at(now));
        }
        look_until(&mut debounce, None);
        assert!(!debounce.take_due(at(1_000_000)), "nothing is due when nothing happened");
        looks
    }

    #[track_caller]
    fn check(changes: &[(u64, &str, Change)], expected: &[u64]) {
        assert_eq!(looks(changes), expected, "{changes:?}");
    }

    #[test]
    fn files_are_looked_at_when_they_have_been_quiet() {
        use Change::{Appeared, Attributes, Closed, Vanished};
        check(&[], &[]);
        for change in [Appeared, Vanished, Closed, Attributes] {
            check(&[(0, "a", change)], &[100]);
        }
        check(&[(0, "a", Appeared), (99, "b", Appeared)], &[199]);
        check(&[(0, "a", Appeared), (100, "b", Appeared)], &[100, 200]);
        check(&[(0, "a", Appeared), (500, "a", Vanished)], &[100, 600]);
    }

    #[test]
    fn a_storm_is_looked_at_within_the_bound() {
        let storm: Vec<_> = (0..100).map(|index| (index * 50, "a", Change::Appeared)).collect();
        // The second look comes after the storm, which ends at 4950.
        check(&storm, &[3000, 5050]);
    }

    #[test]
    fn a_file_is_not_looked_at_while_it_is_written() {
        use Change::{Appeared, Attributes, Closed, Vanished, Written};
        check(&[(0, "a", Appeared), (1, "a", Written), (2000, "a", Closed)], &[2100]);
        // Whatever else happens meanwhile waits with it.
        check(&[(0, "a", Written), (10, "b", Appeared), (700, "a", Closed)], &[800]);
        check(&[(0, "a", Written), (10, "b", Written), (500, "b", Closed), (700, "a", Closed)], &[800]);
        check(&[(0, "a", Written), (10, "a", Attributes), (700, "a", Closed)], &[800]);
        // It was replaced or removed while it was written.
        check(&[(0, "a", Written), (10, "a", Appeared)], &[110]);
        check(&[(0, "a", Written), (10, "a", Vanished)], &[110]);
    }

    #[test]
    fn a_writer_who_never_closes_is_waited_for_until_the_bound() {
        check(&[(0, "a", Change::Written)], &[3000]);
        check(&[(0, "a", Change::Written), (2999, "a", Change::Written)], &[3000]);
        check(&[(0, "a", Change::Written), (3100, "a", Change::Closed)], &[3000, 3200]);
        check(&[(0, "a", Change::Written), (3100, "a", Change::Written)], &[3000, 6100]);
    }

    #[test]
    fn any_number_of_writers_takes_little_memory() {
        let names: Vec<String> = (0..=MOST_WRITERS).map(|index| index.to_string()).collect();
        let mut debounce = Debounce::new(Duration::from_millis(QUIET), Duration::from_millis(BOUND));
        let now = Instant::now();
        names.iter().for_each(|name| debounce.note(Path::new(name), Change::Written, now));
        assert_eq!(debounce.pending.as_ref().unwrap().writing.len(), MOST_WRITERS);
        names.iter().for_each(|name| debounce.note(Path::new(name), Change::Closed, now));
        assert_eq!(debounce.deadline(), Some(now + Duration::from_millis(QUIET)));
    }

    #[test]
    fn what_is_not_known_is_looked_at_too() {
        let mut debounce = Debounce::new(Duration::from_millis(QUIET), Duration::from_millis(BOUND));
        let now = Instant::now();
        debounce.note_unknown(now);
        assert_eq!(debounce.deadline(), Some(now + Duration::from_millis(QUIET)));
    }
}
