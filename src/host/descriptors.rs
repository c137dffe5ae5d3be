//! File descriptors that are left, and some of them kept for HTTP and for files that are read by the way.

use std::fs::File;
use std::os::fd::AsRawFd;

use rustix::process::{Resource, getrlimit};

/// Descriptors for a few connections and for files that are read by the way.
const KEPT: u64 = 32;

/// What a look at the machine takes at once, and more.
const LOOK: usize = 8;

/// Descriptors that whoever loads objects cannot take.
#[derive(Debug)]
pub struct Reserve {
    files: Vec<File>,
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
        Self { files: (0..kept).map_while(|_| File::open("/").ok()).collect() }
    }
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
    File::open("/").is_ok_and(|file| u64::try_from(file.as_raw_fd()).is_ok_and(|number| number < all - kept))
}

/// Whether there are enough to look at the machine: without them it shows nothing, which is not that nothing is there.
#[must_use]
pub fn are_left() -> bool {
    let files: Vec<File> = (0..LOOK).map_while(|_| File::open("/").ok()).collect();
    files.len() == LOOK
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
