//! Which files were opened.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

/// Notices when one of some files is opened.
pub struct Opened {
    inotify: OwnedFd,
    names: BTreeMap<i32, String>,
}

impl Opened {
    /// Watches files by their paths below a folder.
    #[track_caller]
    pub fn watch(folder: &Path, names: &[&str]) -> Self {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
        let watch = |name: &&str| {
            let watch = inotify::add_watch(&inotify, folder.join(name), WatchFlags::OPEN).unwrap();
            (watch, (*name).to_owned())
        };
        let names = names.iter().map(watch).collect();
        Self { inotify, names }
    }

    /// The files that were opened since this was asked last, in the order of their names.
    #[track_caller]
    pub fn take(&self) -> Vec<&str> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut opened = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => opened.extend(self.names.get(&event.wd()).map(String::as_str)),
                Err(rustix::io::Errno::AGAIN) => break,
                Err(error) => panic!("{error}"),
            }
        }
        opened.sort_unstable();
        opened.dedup();
        opened
    }
}
