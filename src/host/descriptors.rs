//! File descriptors that are left, and some of them kept for HTTP and for files that are read by the way.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

/// Descriptors for a few connections and for files that are read by the way.
const KEPT: u64 = 32;

/// What a look at the machine takes at once, and more.
const LOOK: usize = 8;

/// Descriptors that whoever loads objects cannot take.
#[derive(Debug)]
pub struct Reserve {
    files: Vec<OwnedFd>,
}

impl Drop for Reserve {
    fn drop(&mut self) {
        tracing::trace!(descriptors = self.files.len(), "the reserve is free again");
    }
}

impl Reserve {
    /// Takes some out of the way, at most a quarter of all there can be.
    #[must_use]
    pub fn take() -> Self {
        let (_, kept) = limits();
        Self { files: (0..kept).map_while(|_| one().ok()).collect() }
    }
}

/// One descriptor, for which nobody has to be allowed to read anything.
fn one() -> rustix::io::Result<OwnedFd> {
    openat(CWD, "/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}

/// Whether an answer says that there are no more of them; another one says nothing of that.
fn is_out(error: Errno) -> bool {
    matches!(error, Errno::MFILE | Errno::NFILE)
}

/// How many there can be, and how many of them are kept.
fn limits() -> (u64, u64) {
    let all = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    (all, KEPT.min(all / 4))
}

/// Whether there is one more than those that are kept: the kernel gives the lowest number that is free. Takes none out of
/// the way of other threads.
#[must_use]
pub fn has_room() -> bool {
    let (all, kept) = limits();
    match one() {
        Ok(file) => u64::try_from(file.as_raw_fd()).is_ok_and(|number| number < all - kept),
        Err(error) => !is_out(error),
    }
}

/// Whether there are enough to look at the machine: without them it shows nothing, which is not that nothing is there.
#[must_use]
pub fn are_left() -> bool {
    let taken: Result<Vec<OwnedFd>, Errno> = (0..LOOK).map(|_| one()).collect();
    taken.map_or_else(|error| !is_out(error), |_| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_holds_descriptors() {
        assert_eq!(Reserve::take().files.len() as u64, KEPT);
        assert!(are_left() && has_room());
    }
}
