//! A thread that learns of cgroups while they live.
//!
//! A walk finds only what is there when somebody asks: a cgroup that came and
//! went between two scrapes would never have a name. So every directory of the
//! cgroup v2 tree is watched with inotify, which needs no privilege and works on
//! every kernel. Nothing depends on it: where it cannot run, or has too much to
//! watch, unknown ids are found by walks. Others follow the tree in the same way,
//! each with a table of its own.

use std::collections::{HashMap, HashSet};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Mutex, Weak};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::hierarchy::Hierarchy;
use super::walk::children;
use super::{Cgroups, Live, Place};
use crate::host::lock;

/// A watch costs the kernel about a kilobyte.
const MOST_WATCHED: usize = 32_768;

/// How soon the thread notices that nobody needs it any more.
const LOOK_UP_EVERY: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Who learns what is seen.
pub(super) trait Table {
    /// Takes in a cgroup that was just seen.
    fn learn(&mut self, id: u64, hierarchy: &Hierarchy, path: &str);

    /// Remembers that a cgroup is gone.
    fn lose(&mut self, id: u64);

    /// Whether anybody still wants to know.
    fn is_wanted(&self) -> bool;
}

/// The table of paths, for as long as it is there.
struct Names(Weak<Mutex<Cgroups>>);

impl Table for Names {
    fn learn(&mut self, id: u64, hierarchy: &Hierarchy, path: &str) {
        if let Some(cgroups) = self.0.upgrade() {
            lock(&cgroups).learn(id, hierarchy, path);
        }
    }

    fn lose(&mut self, id: u64) {
        if let Some(cgroups) = self.0.upgrade() {
            lock(&cgroups).lose(id);
        }
    }

    fn is_wanted(&self) -> bool {
        self.0.strong_count() > 0
    }
}

/// Starts the thread; it ends when the table is dropped.
pub(super) fn start(cgroups: Weak<Mutex<Cgroups>>, hierarchy: Hierarchy) -> io::Result<()> {
    let mut watch = Watch::new(hierarchy)?;
    let work = move || watch.run(&mut Names(cgroups));
    std::thread::Builder::new().name("cgroup-watch".into()).spawn(work)?;
    Ok(())
}

/// What is watched.
pub(super) struct Watch {
    hierarchy: Hierarchy,
    inotify: OwnedFd,
    /// Path below the root and id, by the number of the watch.
    folders: HashMap<i32, (String, u64)>,
    numbers: HashMap<String, i32>,
    buffer: Vec<MaybeUninit<u8>>,
    /// Whether there are cgroups that could not be watched.
    is_partial: bool,
}

/// What happened to a directory in a watched one.
enum Event {
    Created(String),
    Removed(String),
    /// The kernel could not keep all events.
    Lost,
}

impl Watch {
    pub(super) fn new(hierarchy: Hierarchy) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let buffer = vec![MaybeUninit::uninit(); 32 << 10];
        let (folders, numbers) = (HashMap::new(), HashMap::new());
        Ok(Self { hierarchy, inotify, folders, numbers, buffer, is_partial: false })
    }

    fn run(&mut self, table: &mut dyn Table) {
        self.enter_all(table);
        while table.is_wanted() {
            let mut descriptors = [PollFd::new(&self.inotify, PollFlags::IN)];
            match poll(&mut descriptors, Some(&LOOK_UP_EVERY)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
            if self.take_in(table).is_err() {
                return;
            }
        }
    }

    /// What becomes readable when something happens.
    pub(super) fn descriptor(&self) -> &OwnedFd {
        &self.inotify
    }

    /// The tree.
    pub(super) fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    /// Whether all cgroups are watched.
    pub(super) fn is_whole(&self) -> bool {
        !self.is_partial
    }

    /// Watches the whole tree.
    pub(super) fn enter_all(&mut self, table: &mut dyn Table) {
        self.enter(String::new(), table);
    }

    /// Takes in what happened.
    ///
    /// # Errors
    /// When events were lost and the tree cannot be watched anew.
    pub(super) fn take_in(&mut self, table: &mut dyn Table) -> io::Result<()> {
        for event in self.events() {
            match event {
                Event::Created(path) => self.enter(path, table),
                Event::Removed(path) => self.leave(&path, table),
                Event::Lost => self.start_again(table)?,
            }
        }
        Ok(())
    }

    /// What there is to read now.
    fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let mut reader = inotify::Reader::new(&self.inotify, &mut self.buffer);
        while let Ok(event) = reader.next() {
            let kind = event.events();
            if kind.contains(ReadFlags::QUEUE_OVERFLOW) {
                return vec![Event::Lost];
            }
            if let (Some((parent, _)), Some(name)) = (self.folders.get(&event.wd()), event.file_name())
                && kind.contains(ReadFlags::ISDIR)
            {
                let path = format!("{parent}/{}", name.to_string_lossy());
                let created = kind.contains(ReadFlags::CREATE);
                events.push(if created { Event::Created(path) } else { Event::Removed(path) });
            }
            // What was created must be looked at before it is gone; what was read must not be lost.
            if reader.is_buffer_empty() {
                break;
            }
        }
        events
    }

    /// Watches a directory and what is in it. What is created in it before the
    /// watch is there is found by reading it, what is created after that by an event.
    fn enter(&mut self, path: String, table: &mut dyn Table) {
        let mut open = vec![path];
        while let Some(path) = open.pop() {
            if !table.is_wanted() {
                return;
            }
            if self.folders.len() >= MOST_WATCHED {
                self.is_partial = true;
                return;
            }
            // The id first: a cgroup that is gone a moment later should still have a name.
            let full = self.full(&path);
            let Ok(id) = std::fs::metadata(&full).map(|found| found.ino()) else { continue };
            // Who had the path before is gone: it will look as if its own event was meant for this one.
            if self.id_of(&path).is_some_and(|before| before != id) {
                self.forget_with_all_below(&path, table);
            }
            let flags = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::ONLYDIR;
            let number = inotify::add_watch(&self.inotify, &full, flags);
            table.learn(id, &self.hierarchy, &path);
            let number = match number {
                Ok(number) => number,
                Err(error) => {
                    // Anything but that it is gone already.
                    self.is_partial |= error != Errno::NOENT;
                    table.lose(id);
                    continue;
                }
            };
            self.numbers.insert(path.clone(), number);
            self.folders.insert(number, (path.clone(), id));
            let found = children(&self.hierarchy, &path, &mut self.buffer);
            open.extend(found.into_iter().map(|(_, name)| format!("{path}/{name}")));
        }
    }

    fn leave(&mut self, path: &str, table: &mut dyn Table) {
        // By now another cgroup can have the path; its own event is still to come, or was handled before.
        let still_there = std::fs::metadata(self.full(path)).ok().map(|found| found.ino());
        if still_there.is_none() || still_there != self.id_of(path) {
            self.forget(path, table);
        }
    }

    /// The id that a path is known by.
    fn id_of(&self, path: &str) -> Option<u64> {
        self.folders.get(self.numbers.get(path)?).map(|&(_, id)| id)
    }

    /// Lets go of a cgroup that is gone.
    fn forget(&mut self, path: &str, table: &mut dyn Table) {
        let Some(number) = self.numbers.remove(path) else { return };
        // The kernel removes the watch of what is gone by itself; both orders are fine.
        let _ = inotify::remove_watch(&self.inotify, number);
        if let Some((_, id)) = self.folders.remove(&number) {
            table.lose(id);
        }
    }

    /// Lets go of a cgroup whose path another one has, and of all that were below it: what was said of them is not
    /// known as theirs any more.
    fn forget_with_all_below(&mut self, path: &str, table: &mut dyn Table) {
        let below = format!("{path}/");
        let gone: Vec<String> =
            self.numbers.keys().filter(|known| known.starts_with(&below)).cloned().collect();
        gone.iter().for_each(|known| self.forget(known, table));
        self.forget(path, table);
    }

    /// What is still there is never lost meanwhile.
    fn start_again(&mut self, table: &mut dyn Table) -> io::Result<()> {
        let before = std::mem::replace(self, Self::new(self.hierarchy.clone())?);
        self.enter_all(table);
        let now: HashSet<u64> = self.folders.values().map(|&(_, id)| id).collect();
        before.folders.values().filter(|(_, id)| !now.contains(id)).for_each(|&(_, id)| table.lose(id));
        Ok(())
    }

    fn full(&self, path: &str) -> PathBuf {
        self.hierarchy.root.join(path.trim_start_matches('/'))
    }
}

impl Cgroups {
    /// Takes in a cgroup that was just seen.
    fn learn(&mut self, id: u64, hierarchy: &Hierarchy, path: &str) {
        if self.hierarchies.is_empty() {
            self.hierarchies.push(hierarchy.clone());
        }
        let now = self.clock.now();
        self.absent.remove(&id);
        if self.live.len() < super::walk::MOST_CGROUPS {
            self.live.insert(id, Live { place: Place::new(hierarchy, 0, path), seen: now });
        }
    }

    /// Remembers that a cgroup is gone.
    fn lose(&mut self, id: u64) {
        if let Some(path) = self.live.remove(&id).and_then(|live| live.place.printed()) {
            self.gone.insert(id, path, std::time::Duration::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs::{File, create_dir, create_dir_all, remove_dir};
    use std::path::Path;

    use super::*;
    use crate::host::cgroups::hierarchy::Kind;

    /// The ids that there are.
    #[derive(Default)]
    struct Ids(BTreeSet<u64>);

    impl Table for Ids {
        fn learn(&mut self, id: u64, _: &Hierarchy, _: &str) {
            self.0.insert(id);
        }

        fn lose(&mut self, id: u64) {
            self.0.remove(&id);
        }

        fn is_wanted(&self) -> bool {
            true
        }
    }

    fn id(path: &Path) -> u64 {
        std::fs::metadata(path).unwrap().ino()
    }

    /// Events say what was: the path may have been given to a third one by the time the second one's is handled.
    #[test]
    fn one_that_has_the_path_of_another_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let (root, path) = (folder.path(), folder.path().join("again"));
        let hierarchy = Hierarchy { root: root.into(), printed: String::new(), kind: Kind::Plain };
        let (mut watch, mut ids) = (Watch::new(hierarchy).unwrap(), Ids::default());
        watch.enter_all(&mut ids);
        create_dir_all(path.join("below")).unwrap();
        watch.enter("/again".to_owned(), &mut ids);
        assert_eq!(ids.0, BTreeSet::from([id(root), id(&path), id(&path.join("below"))]));
        // Held open, so that its number is given to no other.
        let _held = (File::open(&path).unwrap(), File::open(path.join("below")).unwrap());
        remove_dir(path.join("below")).unwrap();
        remove_dir(&path).unwrap();
        create_dir(&path).unwrap();
        watch.enter("/again".to_owned(), &mut ids);
        assert_eq!(ids.0, BTreeSet::from([id(root), id(&path)]));
        watch.take_in(&mut ids).unwrap();
        assert_eq!(ids.0, BTreeSet::from([id(root), id(&path)]));
        remove_dir(&path).unwrap();
        watch.take_in(&mut ids).unwrap();
        assert_eq!(ids.0, BTreeSet::from([id(root)]));
    }
}
