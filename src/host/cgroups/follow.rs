//! Tells somebody which cgroups there are, and what becomes of them.
//!
//! The tree of cgroup v2 is watched. Where that is not possible (too many cgroups, inotify's limits, cgroup v1), it is
//! walked every few seconds instead.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::hierarchy::{self, Hierarchy, Kind};
use super::walk::Found;
use super::watch::{Table, Watch};
use crate::host::{Roots, lock};

/// How often the tree is walked where it is not watched.
const WALK_EVERY: Duration = Duration::from_secs(2);

/// Of the time that passes, walking takes one part in so many at most.
const SHARE: u32 = 20;

/// A cgroup that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// Its id, which programs see.
    pub id: u64,
    /// Its path as it is printed.
    pub path: Arc<str>,
    /// Where it can be opened.
    pub folder: PathBuf,
}

/// Who wants to know.
pub trait CgroupListener: Send {
    /// One was made.
    fn appeared(&mut self, cgroup: &Cgroup);

    /// One is gone.
    fn vanished(&mut self, id: u64);

    /// These there are, and no others.
    fn all(&mut self, cgroups: &mut dyn Iterator<Item = &Cgroup>);
}

/// Follows the tree for a listener.
pub struct CgroupFollower {
    way: Way,
    known: Known,
}

/// How the tree is followed.
enum Way {
    Watched(Box<Watch>),
    Walked { hierarchies: Vec<Hierarchy>, next: Instant },
}

/// What there is, and who is told.
struct Known {
    cgroups: HashMap<u64, Cgroup>,
    link: Arc<Link>,
    /// The listener is told of each only after it was told of all.
    is_told: bool,
}

/// Holds a follower from outside.
pub struct CgroupFollowing {
    link: Arc<Link>,
}

/// What both ends share.
struct Link {
    /// None when nobody listens any more.
    listener: Mutex<Option<Box<dyn CgroupListener>>>,
    /// Readable when the follower is to look up.
    wake: OwnedFd,
    is_again: AtomicBool,
}

impl Link {
    fn wake(&self) {
        // A counter that is full is readable already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    fn is_over(&self) -> bool {
        lock(&self.listener).is_none()
    }

    fn tell(&self, what: impl FnOnce(&mut dyn CgroupListener)) {
        if let Some(listener) = lock(&self.listener).as_deref_mut() {
            what(listener);
        }
    }
}

impl CgroupFollowing {
    /// Has the listener told once more of all that there is.
    pub fn again(&self) {
        self.link.is_again.store(true, Ordering::Relaxed);
        self.link.wake();
    }

    /// Takes the listener back: it is told nothing any more.
    pub fn end(&self) -> Option<Box<dyn CgroupListener>> {
        let listener = lock(&self.link.listener).take();
        self.link.wake();
        listener
    }
}

impl Drop for CgroupFollowing {
    fn drop(&mut self) {
        drop(self.end());
    }
}

impl CgroupFollower {
    /// Tells the listener of all cgroups; [`Self::run`] tells what becomes of them. What happens in between
    /// is told then.
    pub(in crate::host) fn start(
        roots: &Roots,
        listener: Box<dyn CgroupListener>,
    ) -> io::Result<(Self, CgroupFollowing)> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let link =
            Arc::new(Link { listener: Mutex::new(Some(listener)), wake, is_again: AtomicBool::new(false) });
        let mut known = Known { cgroups: HashMap::new(), link: Arc::clone(&link), is_told: false };
        let way = Way::find(roots, &mut known);
        known.tell_all();
        Ok((Self { way, known }, CgroupFollowing { link }))
    }

    /// Why the tree is walked now and then, when it is not watched.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        matches!(self.way, Way::Watched(_))
    }

    /// Tells what becomes of the cgroups until nobody listens any more.
    pub fn run(mut self) {
        while !self.known.link.is_over() {
            self.wait();
            if self.known.link.is_over() {
                return;
            }
            if self.known.link.is_again.swap(false, Ordering::Relaxed) {
                self.known.tell_all();
            }
            self.way.take_in(&mut self.known);
        }
    }

    fn wait(&self) {
        let link = &self.known.link;
        let mut descriptors = vec![PollFd::new(&link.wake, PollFlags::IN)];
        let timeout = match &self.way {
            Way::Watched(watch) => {
                descriptors.push(PollFd::new(watch.descriptor(), PollFlags::IN));
                None
            }
            Way::Walked { next, .. } => {
                Timespec::try_from(next.saturating_duration_since(Instant::now())).ok()
            }
        };
        // What fails here shows in what is read.
        let _ = poll(&mut descriptors, timeout.as_ref());
        let _ = rustix::io::read(&link.wake, &mut [0; 8]);
    }
}

impl Way {
    /// The best way, with all that there is now.
    fn find(roots: &Roots, known: &mut Known) -> Self {
        let hierarchies = hierarchy::find(roots);
        let unified = hierarchies.iter().find(|found| found.kind == Kind::Unified);
        if let Some(mut watch) = unified.and_then(|unified| Watch::new(unified.clone()).ok()) {
            watch.enter_all(known);
            if watch.is_whole() {
                return Self::Watched(Box::new(watch));
            }
        }
        Self::walk(hierarchies, known)
    }

    fn walk(hierarchies: Vec<Hierarchy>, known: &mut Known) -> Self {
        let began = Instant::now();
        let mut found = Found::default();
        for (number, hierarchy) in hierarchies.iter().enumerate() {
            found.walk(number, hierarchy);
        }
        known.become_only(found.paths.into_iter().filter_map(|(id, place)| {
            let folder = place.path(&hierarchies)?;
            Some(Cgroup { id, path: place.printed()?, folder })
        }));
        let next = Instant::now() + WALK_EVERY.max(began.elapsed() * SHARE);
        Self::Walked { hierarchies, next }
    }

    fn take_in(&mut self, known: &mut Known) {
        let hierarchies = match self {
            Self::Watched(watch) => {
                if watch.take_in(known).is_ok() && watch.is_whole() {
                    return;
                }
                tracing::warn!(
                    "cgroups cannot all be watched any more; their tree is walked every few seconds"
                );
                vec![watch.hierarchy().clone()]
            }
            Self::Walked { next, .. } if Instant::now() < *next => return,
            Self::Walked { hierarchies, .. } => std::mem::take(hierarchies),
        };
        *self = Self::walk(hierarchies, known);
    }
}

impl Known {
    fn tell_all(&mut self) {
        self.is_told = true;
        let cgroups = &self.cgroups;
        self.link.tell(|listener| listener.all(&mut cgroups.values()));
    }

    fn add(&mut self, cgroup: Cgroup) {
        let is_known = self.cgroups.get(&cgroup.id).is_some_and(|known| *known == cgroup);
        if self.is_told && !is_known {
            self.link.tell(|listener| {
                // A cgroup of v1 can be renamed: it may not be meant any more.
                if self.cgroups.contains_key(&cgroup.id) {
                    listener.vanished(cgroup.id);
                }
                listener.appeared(&cgroup);
            });
        }
        if !is_known {
            self.cgroups.insert(cgroup.id, cgroup);
        }
    }

    fn become_only(&mut self, found: impl Iterator<Item = Cgroup>) {
        let found: HashMap<u64, Cgroup> = found.map(|cgroup| (cgroup.id, cgroup)).collect();
        let gone: Vec<u64> = self.cgroups.keys().copied().filter(|id| !found.contains_key(id)).collect();
        gone.into_iter().for_each(|id| self.lose(id));
        found.into_values().for_each(|cgroup| self.add(cgroup));
    }
}

impl Table for Known {
    fn learn(&mut self, id: u64, hierarchy: &Hierarchy, path: &str) {
        let folder = Path::new(path.trim_start_matches('/'));
        let folder = hierarchy.root.join(folder);
        self.add(Cgroup { id, path: format!("{}{path}", hierarchy.printed).into(), folder });
    }

    fn lose(&mut self, id: u64) {
        if self.cgroups.remove(&id).is_some() && self.is_told {
            self.link.tell(|listener| listener.vanished(id));
        }
    }

    fn is_wanted(&self) -> bool {
        !self.link.is_over()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    /// Writes down what it is told.
    struct Notes(Arc<Mutex<Vec<String>>>);

    impl CgroupListener for Notes {
        fn appeared(&mut self, cgroup: &Cgroup) {
            lock(&self.0).push(format!("+{}", cgroup.path));
        }

        fn vanished(&mut self, id: u64) {
            lock(&self.0).push(format!("-{id}"));
        }

        fn all(&mut self, cgroups: &mut dyn Iterator<Item = &Cgroup>) {
            let mut paths: Vec<String> = cgroups.map(|cgroup| cgroup.path.to_string()).collect();
            paths.sort_unstable();
            lock(&self.0).push(paths.join(" "));
        }
    }

    /// Where no tree of cgroup v2 is, it is walked; what is told is the same.
    #[test]
    fn a_walk_tells_what_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots { cgroupfs: folder.path().into(), ..Roots::default() };
        let inode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().ino();
        std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
        let notes = Arc::new(Mutex::new(Vec::new()));
        let (mut follower, following) =
            CgroupFollower::start(&roots, Box::new(Notes(Arc::clone(&notes)))).unwrap();
        assert!(!follower.is_watched());
        let mut look = || {
            let Way::Walked { hierarchies, .. } = &follower.way else { panic!("it is walked") };
            follower.way = Way::walk(hierarchies.clone(), &mut follower.known);
        };
        let told = || std::mem::take(&mut *lock(&notes));
        assert_eq!(told(), ["/sys/fs/cgroup /sys/fs/cgroup/a /sys/fs/cgroup/a/b"]);
        look();
        assert_eq!(told(), [""; 0]);
        let gone = inode("a/b");
        std::fs::create_dir(folder.path().join("c")).unwrap();
        std::fs::remove_dir(folder.path().join("a/b")).unwrap();
        look();
        assert_eq!(told(), [format!("-{gone}"), "+/sys/fs/cgroup/c".to_owned()]);
        let moved = inode("c");
        std::fs::rename(folder.path().join("c"), folder.path().join("d")).unwrap();
        look();
        assert_eq!(told(), [format!("-{moved}"), "+/sys/fs/cgroup/d".to_owned()]);
        assert!(following.end().is_some());
        std::fs::create_dir(folder.path().join("e")).unwrap();
        look();
        assert_eq!(told(), [""; 0], "nobody listens");
        follower.run();
    }
}
