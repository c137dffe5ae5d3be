//! A thread that learns of cgroups while they live.
//!
//! A walk finds only what is there when somebody asks: a cgroup that came and
//! went between two scrapes would never have a name. So every directory of the
//! cgroup v2 tree is watched with inotify, which needs no privilege and works on
//! every kernel. Nothing depends on it: where it cannot run, or has too much to
//! watch, unknown ids are found by walks.

use std::collections::HashMap;
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

/// Starts the thread; it ends when the table is dropped.
pub(super) fn start(cgroups: Weak<Mutex<Cgroups>>, hierarchy: Hierarchy) -> io::Result<()> {
    let mut watch = Watch::new(hierarchy)?;
    std::thread::Builder::new().name("cgroup-watch".into()).spawn(move || watch.run(&cgroups))?;
    Ok(())
}

/// What is watched.
struct Watch {
    hierarchy: Hierarchy,
    inotify: OwnedFd,
    /// Path below the root and id, by the number of the watch.
    folders: HashMap<i32, (String, u64)>,
    numbers: HashMap<String, i32>,
    buffer: Vec<MaybeUninit<u8>>,
}

/// What happened to a directory in a watched one.
enum Event {
    Created(String),
    Removed(String),
    /// The kernel could not keep all events.
    Lost,
}

impl Watch {
    fn new(hierarchy: Hierarchy) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let buffer = vec![MaybeUninit::uninit(); 32 << 10];
        Ok(Self { hierarchy, inotify, folders: HashMap::new(), numbers: HashMap::new(), buffer })
    }

    fn run(&mut self, cgroups: &Weak<Mutex<Cgroups>>) {
        self.enter(String::new(), cgroups);
        while cgroups.strong_count() > 0 {
            let mut descriptors = [PollFd::new(&self.inotify, PollFlags::IN)];
            match poll(&mut descriptors, Some(&LOOK_UP_EVERY)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
            for event in self.events() {
                match event {
                    Event::Created(path) => self.enter(path, cgroups),
                    Event::Removed(path) => self.leave(&path, cgroups),
                    Event::Lost if self.start_again(cgroups).is_err() => return,
                    Event::Lost => {}
                }
            }
        }
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
    fn enter(&mut self, path: String, cgroups: &Weak<Mutex<Cgroups>>) {
        let mut open = vec![path];
        while let Some(path) = open.pop() {
            let Some(cgroups) = cgroups.upgrade() else { return };
            if self.folders.len() >= MOST_WATCHED {
                return;
            }
            // The id first: a cgroup that is gone a moment later should still have a name.
            let full = self.full(&path);
            let Ok(id) = std::fs::metadata(&full).map(|found| found.ino()) else { continue };
            let flags = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::ONLYDIR;
            let number = inotify::add_watch(&self.inotify, &full, flags);
            lock(&cgroups).learn(id, &self.hierarchy, &path);
            let Ok(number) = number else {
                lock(&cgroups).lose(id);
                continue;
            };
            self.numbers.insert(path.clone(), number);
            self.folders.insert(number, (path.clone(), id));
            let found = children(&self.hierarchy, &path, &mut self.buffer);
            open.extend(found.into_iter().map(|(_, name)| format!("{path}/{name}")));
        }
    }

    fn leave(&mut self, path: &str, cgroups: &Weak<Mutex<Cgroups>>) {
        // By now another cgroup can have the path; its own event is still to come, or was handled before.
        let Some(number) = self.numbers.get(path).copied() else { return };
        let id = self.folders.get(&number).map(|&(_, id)| id);
        let still_there = std::fs::metadata(self.full(path)).ok().map(|found| found.ino());
        if id.is_some() && still_there == id {
            return;
        }
        self.numbers.remove(path);
        self.folders.remove(&number);
        // The kernel removes the watch of what is gone by itself; both orders are fine.
        let _ = inotify::remove_watch(&self.inotify, number);
        if let (Some(id), Some(cgroups)) = (id, cgroups.upgrade()) {
            lock(&cgroups).lose(id);
        }
    }

    fn start_again(&mut self, cgroups: &Weak<Mutex<Cgroups>>) -> io::Result<()> {
        let before = std::mem::replace(self, Self::new(self.hierarchy.clone())?);
        if let Some(cgroups) = cgroups.upgrade() {
            let mut cgroups = lock(&cgroups);
            before.folders.values().for_each(|&(_, id)| cgroups.lose(id));
        }
        self.enter(String::new(), cgroups);
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
