//! The kernel's word on directories, through the crate `notify`: the one file that names it.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Config, ErrorKind, Event, EventKind, INotifyWatcher, RecursiveMode, Watcher as _};
use rustix::io::Errno;

use super::debounce::Change;

/// What the kernel tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Something happened to a path: to a name in a watched directory, or to what is watched itself.
    Of(PathBuf, Change),
    /// Something happened, and what it was is lost.
    Lost,
}

/// Why something is not watched.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no such thing any more.
    Gone,
    /// The process may not read it.
    Denied,
    /// Anything else, in words.
    Other(String),
}

/// A thread that waits for inotify, and what it watches.
pub(super) struct Notifier {
    /// Taken when dropped.
    inner: Option<INotifyWatcher>,
    /// Hangs up when the thread has ended.
    thread: Receiver<Infallible>,
}

impl Notifier {
    /// Starts the thread, which calls `tell`. It has the capabilities of the caller.
    pub(super) fn start(tell: impl Fn(Sign) + Send + 'static) -> Result<Self, String> {
        let (alive, thread) = mpsc::channel::<Infallible>();
        let handler = move |event: notify::Result<Event>| {
            let _alive = &alive;
            match event.as_ref().map(sign) {
                Ok(Some(sign)) => tell(sign),
                Ok(None) => {}
                // Events could not be read.
                Err(_) => tell(Sign::Lost),
            }
        };
        let mut inner = INotifyWatcher::new(handler, Config::default()).map_err(|error| why(&error))?;
        // Every other method would panic if the thread did not start; this one says so.
        if inner.configure(Config::default()).is_err() {
            std::mem::forget(inner);
            return Err("inotify: the thread that waits for it did not start".to_owned());
        }
        Ok(Self { inner: Some(inner), thread })
    }

    /// Watches a directory, or a single file. A path must be given back before it is watched again.
    pub(super) fn watch(&mut self, path: &Path) -> Result<(), Refusal> {
        let Some(inner) = &mut self.inner else { return Ok(()) };
        inner.watch(path, RecursiveMode::NonRecursive).map_err(|error| match &error.kind {
            ErrorKind::PathNotFound => Refusal::Gone,
            ErrorKind::Io(source) if source.kind() == io::ErrorKind::NotFound => Refusal::Gone,
            ErrorKind::Io(source) if source.kind() == io::ErrorKind::NotADirectory => Refusal::Gone,
            ErrorKind::Io(source) if source.kind() == io::ErrorKind::PermissionDenied => Refusal::Denied,
            _ => Refusal::Other(why(&error)),
        })
    }

    /// Gives a watch back; one that the kernel already took away is none.
    pub(super) fn unwatch(&mut self, path: &Path) {
        if let Some(inner) = &mut self.inner {
            let _ = inner.unwatch(path);
        }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        drop(self.inner.take());
        // Only asked to end: all is released when the thread has.
        let _ = self.thread.recv();
    }
}

fn why(error: &notify::Error) -> String {
    match &error.kind {
        ErrorKind::MaxFilesWatch => {
            "inotify: no space left on device (fs.inotify.max_user_watches)".to_owned()
        }
        ErrorKind::Io(source) if source.raw_os_error() == Some(Errno::MFILE.raw_os_error()) => {
            "inotify: too many open files (fs.inotify.max_user_instances)".to_owned()
        }
        ErrorKind::Io(source) => format!("inotify: {source}"),
        _ => format!("inotify: {error}"),
    }
}

/// What an event means here; none when it is of no interest, such as that somebody reads.
fn sign(event: &Event) -> Option<Sign> {
    if event.need_rescan() {
        return Some(Sign::Lost);
    }
    let change = match event.kind {
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Change::Appeared,
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => Change::Vanished,
        // It says again what its two halves said.
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => return None,
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Change::Closed,
        EventKind::Access(_) => return None,
        EventKind::Modify(ModifyKind::Metadata(_)) => Change::Attributes,
        EventKind::Modify(_) => Change::Written,
        EventKind::Any | EventKind::Other => return Some(Sign::Lost),
    };
    Some(Sign::Of(event.paths.first()?.clone(), change))
}
