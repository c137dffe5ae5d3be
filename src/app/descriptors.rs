//! File descriptors: as many as the host allows.
//!
//! Every map, program and link takes descriptors, so a folder of a hundred configs needs more than
//! the 1024 that processes get by default for the sake of `select`, which nothing here uses. Where
//! the host's limit is too low all the same, programs fail to attach and say so; the page that
//! tells it still has to be served, for which there is a [`crate::host::Reserve`].

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_becomes_what_the_host_allows() {
        raise_limit();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
