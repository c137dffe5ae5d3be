//! Cgroups: paths by id, which is the inode number of the directory.
//!
//! The tree is walked when an id is not known, within 5 % of the time that
//! passes and with a little saved up, so that a burst of new cgroups is seen at
//! once and a storm of unknown ids costs a few walks. A walk is also what tells
//! that a cgroup is gone: its last name is kept, within bounds, because the
//! numbers that a map holds for it are still published. A thread watches the
//! tree beside that, for those that nobody asked about while they lived.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Roots;
use super::cache::TtlCache;
use super::clock::Clock;
use super::pace::Pace;

mod follow;
mod hierarchy;
pub(super) mod select;
mod walk;
mod watch;

pub use follow::{Cgroup, CgroupFollower, CgroupFollowing, CgroupListener};
use hierarchy::{Hierarchy, Kind};
use walk::{Found, Place};

/// Where paths can change their meaning, they are looked at again after this time.
const BELIEVED_FOR: Duration = Duration::from_secs(5);

/// An id that a walk did not find is no reason to walk again for this time.
const ABSENT_FOR: Duration = Duration::from_secs(30);

/// How many cgroups that are gone keep their name.
const MOST_GONE: usize = 32_768;

/// How many unknown ids are remembered.
const MOST_ABSENT: usize = 65_536;

/// Paths of cgroups, as of the last walk.
#[derive(Debug)]
pub(super) struct Cgroups {
    clock: Clock,
    hierarchies: Vec<Hierarchy>,
    live: HashMap<u64, Live>,
    gone: TtlCache<u64, Arc<str>>,
    absent: TtlCache<u64, ()>,
    pace: Pace,
    walks: u64,
}

/// A cgroup that the last walk found.
#[derive(Debug)]
struct Live {
    place: Place,
    /// When it was last seen under its path.
    seen: Duration,
}

/// The root of the hierarchy of version 2.
pub(super) fn root(roots: &Roots) -> Option<PathBuf> {
    hierarchy::find(roots).into_iter().find(|found| found.kind == Kind::Unified).map(|found| found.root)
}

impl Cgroups {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            hierarchies: Vec::new(),
            live: HashMap::new(),
            gone: TtlCache::new(MOST_GONE),
            absent: TtlCache::new(MOST_ABSENT),
            pace: Pace::new(Duration::from_millis(1), Duration::from_millis(50)),
            walks: 0,
        }
    }

    /// The path of a cgroup, or the last one it had.
    pub(super) fn path(&mut self, roots: &Roots, id: u64) -> Option<Arc<str>> {
        let now = self.clock.now();
        if self.is_current(id, now) {
            return self.live.get(&id).and_then(|live| live.place.printed());
        }
        // An id of cgroup v2 is never given away again: what is gone stays gone.
        let can_return = self.hierarchies.iter().any(|hierarchy| hierarchy.kind != Kind::Unified);
        let gone = self.gone.get(&id, now).cloned();
        let reason = (gone.is_none() || can_return) && self.absent.get(&id, now).is_none();
        if reason && self.pace.allows(now) {
            self.walk(roots, id, now);
        }
        match self.live.get(&id) {
            Some(live) => live.place.printed(),
            None => self.gone.get(&id, now).cloned(),
        }
    }

    /// Starts to watch the tree, where it is one of cgroup v2, for as long as the table is there.
    pub(super) fn watch(cgroups: &Arc<Mutex<Self>>, roots: &Roots) {
        let unified = hierarchy::find(roots).into_iter().find(|found| found.kind == Kind::Unified);
        let started = unified.map(|found| watch::start(Arc::downgrade(cgroups), found));
        if let Some(Err(error)) = started {
            tracing::debug!(%error, "cgroups are not watched; unknown ones are found by walking their tree");
        }
    }

    /// How often the tree was walked.
    pub(super) fn walks(&self) -> u64 {
        self.walks
    }

    /// Whether an id is known and still means what it meant.
    fn is_current(&mut self, id: u64, now: Duration) -> bool {
        let Some(live) = self.live.get_mut(&id) else { return false };
        let kind = self.hierarchies.get(live.place.hierarchy).map(|hierarchy| hierarchy.kind);
        if kind == Some(Kind::Unified) || now.saturating_sub(live.seen) < BELIEVED_FOR {
            return true;
        }
        let path = live.place.path(&self.hierarchies);
        let same = path.and_then(|path| std::fs::metadata(path).ok()).is_some_and(|found| found.ino() == id);
        if same {
            live.seen = now;
        }
        same
    }

    /// Walks everything for the sake of one id.
    fn walk(&mut self, roots: &Roots, id: u64, now: Duration) {
        self.walks += 1;
        // Mounts can appear and vanish too.
        self.hierarchies = hierarchy::find(roots);
        let mut found = Found::default();
        for (number, hierarchy) in self.hierarchies.iter().enumerate() {
            found.walk(number, hierarchy);
        }
        let known = found.paths.contains_key(&id);
        let live = found.paths.into_iter().map(|(id, place)| (id, Live { place, seen: now })).collect();
        for (id, before) in std::mem::replace(&mut self.live, live) {
            if let (false, Some(path)) = (self.live.contains_key(&id), before.place.printed()) {
                self.gone.insert(id, path, Duration::MAX);
            }
        }
        if !known {
            self.absent.insert(id, (), now + ABSENT_FOR);
        }
        self.pace.pay(now, self.clock.now(), known);
    }
}

#[cfg(test)]
mod tests;
