//! File descriptors: as many as the host allows, and some of them kept for HTTP.
//!
//! Every map, program and link takes descriptors, so a folder of a hundred configs needs more than
//! the 1024 that processes get by default for the sake of `select`, which nothing here uses. Where
//! the host's limit is too low all the same, programs fail to attach and say so; the page that
//! tells it still has to be served.

use std::fs::File;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for a few connections and for files that are read by the way.
const KEPT: u64 = 32;

/// Raises the limit on descriptors as far as the process may.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%error, "the limit on open files stays at {:?}", limit.current);
    }
}

/// Descriptors that whoever loads cannot take.
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
    pub fn take() -> Self {
        let all = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let count = KEPT.min(all / 4);
        Self { files: (0..count).map_while(|_| File::open("/").ok()).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_becomes_what_the_host_allows() {
        raise_limit();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }

    #[test]
    fn a_reserve_holds_descriptors() {
        assert_eq!(Reserve::take().files.len() as u64, KEPT);
    }
}
