//! What is watched, kept equal to what matters.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::notifier::{Notifier, Refusal};
use super::places::{self, Identity, Places};

/// Directories that may be others by now although nothing about them looks different:
/// numbers of inodes are used again.
#[derive(Debug, Default)]
pub(super) struct Stale {
    /// These, and all that is below.
    pub(super) paths: BTreeSet<PathBuf>,
    /// Every one.
    pub(super) all: bool,
}

impl Stale {
    fn contains(&self, path: &Path) -> bool {
        self.all || self.paths.iter().any(|stale| path.starts_with(stale))
    }
}

/// What came of watching places.
#[derive(Debug, Default)]
pub(super) struct Adopted {
    /// Watches were added or given back, so a change before that may have gone by.
    pub(super) changed: bool,
    /// Places changed meanwhile and have to be found again.
    pub(super) unstable: bool,
    /// Why some place is not watched.
    pub(super) refused: Option<String>,
}

/// The watches there are.
pub(super) struct Watched {
    notifier: Notifier,
    now: BTreeMap<PathBuf, Identity>,
}

impl Watched {
    pub(super) fn new(notifier: Notifier) -> Self {
        Self { notifier, now: BTreeMap::new() }
    }

    /// Loses a watch without knowing.
    #[cfg(test)]
    pub(super) fn forget_as_the_kernel_does(&mut self, path: &Path) {
        self.notifier.unwatch(path);
    }

    /// Gives back what no longer matters and watches what does.
    pub(super) fn adopt(&mut self, places: &Places, stale: &Stale) -> Adopted {
        let mut adopted = Adopted::default();
        let Self { notifier, now } = self;
        now.retain(|path, identity| {
            let stays =
                places.get(path).is_some_and(|place| place.identity == *identity) && !stale.contains(path);
            if !stays {
                notifier.unwatch(path);
                adopted.changed = true;
            }
            stays
        });
        for (path, place) in places.iter() {
            if self.now.contains_key(path) {
                continue;
            }
            match self.notifier.watch(path) {
                // A path is watched, but a directory is meant.
                Ok(()) if places::identity(path) == Some(place.identity) => {
                    self.now.insert(path.clone(), place.identity);
                    adopted.changed = true;
                }
                Ok(()) => {
                    self.notifier.unwatch(path);
                    adopted.unstable = true;
                }
                Err(Refusal::Gone) => adopted.unstable = true,
                // That a way that may be walked but not listed leads elsewhere, a re-check tells early enough.
                Err(Refusal::Denied) if !place.holds => {}
                Err(Refusal::Denied) => {
                    adopted.refused = Some(format!("inotify: permission denied ({})", path.display()));
                }
                Err(Refusal::Other(why)) => adopted.refused = Some(why),
            }
        }
        adopted
    }
}
