//! Groups whose memory is used again for the next page.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

use super::state::lock;
use crate::series::Groups;

/// The groups of one page at the most, whose numbers mean nothing any more.
#[derive(Debug, Default)]
pub(super) struct SpareGroups(Mutex<Option<Groups>>);

/// Groups of one page. When it was rendered their memory goes back.
#[derive(Debug)]
pub(super) struct LentGroups {
    groups: Groups,
    spare: Arc<SpareGroups>,
}

impl LentGroups {
    /// No groups yet; each will have `stride` numbers. Those that are not indexed are certain to differ.
    pub(super) fn take(spare: &Arc<SpareGroups>, stride: usize, is_indexed: bool) -> Self {
        let mut groups = lock(&spare.0).take().unwrap_or_else(|| Groups::new(stride));
        groups.reset(stride, is_indexed);
        Self { groups, spare: Arc::clone(spare) }
    }
}

impl Drop for LentGroups {
    fn drop(&mut self) {
        if self.groups.is_worth_keeping() {
            let groups = std::mem::replace(&mut self.groups, Groups::new(1));
            *lock(&self.spare.0) = Some(groups);
        }
    }
}

impl Deref for LentGroups {
    type Target = Groups;

    fn deref(&self) -> &Groups {
        &self.groups
    }
}

impl DerefMut for LentGroups {
    fn deref_mut(&mut self) -> &mut Groups {
        &mut self.groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Number;

    #[test]
    fn memory_is_used_again_and_nothing_of_what_was_in_it() {
        let spare = Arc::default();
        let fill = |stride: usize, is_indexed: bool| {
            let mut groups = LentGroups::take(&spare, stride, is_indexed);
            assert!(groups.is_empty() && groups.bytes() == 0 && groups.known(b"a").is_none());
            for list in [b"a", b"b"] {
                groups.group(list).fill(Number::U64(7));
            }
            assert_eq!((groups.len(), groups.known(b"a").is_some()), (2, is_indexed));
            groups.iter().next().map(|(_, cells)| (cells.as_ptr(), cells.len()))
        };
        let first = fill(3, false).unwrap();
        assert_eq!(first.1, 3);
        // The same memory, whatever it is for.
        assert_eq!(fill(2, true), Some((first.0, 2)));
        assert_eq!(fill(3, true), Some(first));
        assert_eq!(fill(3, false), Some(first));
    }

    #[test]
    fn much_that_was_not_used_is_not_kept() {
        let spare = Arc::default();
        let mut groups = LentGroups::take(&spare, 10, true);
        groups.reserve(100_000, 1_000_000);
        drop(groups);
        assert!(lock(&spare.0).is_none());
    }
}
