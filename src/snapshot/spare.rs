//! Memory of snapshots that nobody needs any more, kept for the next one of the same source.
//!
//! It is warm, the kernel need not clear it again, and threads share it: an allocator would keep some for each of
//! those that ever held a snapshot.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// More than this is kept only if a quarter of it was used.
const WORTH_GIVING_BACK: usize = 256 * 1024;

/// The buffers of one snapshot at the most.
#[derive(Debug, Default)]
pub struct Spare(Mutex<Option<Buffers>>);

/// What the rows of a snapshot are in: its keys, and the numbers of each column.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) keys: Vec<u8>,
    pub(super) bits: Vec<Vec<u64>>,
}

impl Spare {
    /// Empty buffers for so many columns.
    pub(super) fn take(&self, columns: usize) -> Buffers {
        let mut buffers = self.kept().take().unwrap_or_default();
        buffers.keys.clear();
        buffers.bits.iter_mut().for_each(Vec::clear);
        buffers.bits.resize_with(columns, Vec::new);
        buffers
    }

    /// Keeps buffers, unless they are much larger than what was in them.
    pub(super) fn give(&self, buffers: Buffers) {
        let words =
            |size: fn(&Vec<u64>) -> usize| buffers.bits.iter().map(size).sum::<usize>() * size_of::<u64>();
        let used = buffers.keys.len() + words(Vec::len);
        let held = buffers.keys.capacity() + words(Vec::capacity);
        if held <= WORTH_GIVING_BACK || held <= used.saturating_mul(4) {
            *self.kept() = Some(buffers);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Option<Buffers>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffers(keys: usize, room: usize) -> Buffers {
        let mut buffers = Buffers { keys: Vec::with_capacity(room), bits: vec![vec![7; keys]] };
        buffers.keys.resize(keys, 7);
        buffers
    }

    #[test]
    fn what_is_given_comes_back_empty() {
        let spare = Spare::default();
        let given = buffers(1000, 1000);
        let place = given.keys.as_ptr();
        spare.give(given);
        let taken = spare.take(2);
        assert_eq!((taken.keys.as_ptr(), taken.keys.len(), taken.bits.len()), (place, 0, 2));
        assert!(taken.bits.iter().all(Vec::is_empty) && taken.bits[0].capacity() >= 1000);
        assert_eq!(spare.take(1).keys.capacity(), 0, "nobody gave it back");
    }

    #[test]
    fn much_that_was_not_used_is_not_kept() {
        #[track_caller]
        fn check(used: usize, room: usize, expected: bool) {
            let spare = Spare::default();
            spare.give(buffers(used, room));
            assert_eq!(spare.take(1).keys.capacity() != 0, expected, "{used} of {room}");
        }
        check(0, 1000, true);
        check(100_000, 1_000_000, true);
        check(10_000, 1_000_000, false);
        check(0, 10_000_000, false);
        check(2_500_000, 10_000_000, true);
    }
}
