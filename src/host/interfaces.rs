//! Network interfaces: names by index, in the exporter's own network namespace.
//!
//! An interface can be renamed, and its index given to another one after it is
//! gone, so an answer is good for a few seconds only; asking the kernel costs
//! about as much as a good hash look-up.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::cache::TtlCache;

/// How long a name is good.
const KNOWN_FOR: Duration = Duration::from_secs(5);

/// How long an index without a name stays without.
const UNKNOWN_FOR: Duration = Duration::from_secs(1);

/// Keys can hold any number; this many of them are remembered.
const MOST_REMEMBERED: usize = 16_384;

/// Names of interfaces, as they were a moment ago.
#[derive(Debug)]
pub(super) struct Interfaces {
    /// The kernel answers on a socket; any kind will do, and this kind exists everywhere.
    socket: Option<OwnedFd>,
    names: TtlCache<u32, Option<Arc<str>>>,
}

impl Interfaces {
    pub(super) fn new() -> Self {
        Self { socket: None, names: TtlCache::new(MOST_REMEMBERED) }
    }

    pub(super) fn name(&mut self, index: u32, now: Duration) -> Option<Arc<str>> {
        if let Some(name) = self.names.get(&index, now) {
            return name.clone();
        }
        let name = self.ask(index);
        let good_for = if name.is_some() { KNOWN_FOR } else { UNKNOWN_FOR };
        self.names.insert(index, name.clone(), now + good_for);
        name
    }

    fn ask(&mut self, index: u32) -> Option<Arc<str>> {
        if self.socket.is_none() {
            let flags = SocketFlags::CLOEXEC;
            self.socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None).ok();
        }
        let name = rustix::net::netdevice::index_to_name(self.socket.as_ref()?, index).ok()?;
        Some(name.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_has_a_name() {
        let mut interfaces = Interfaces::new();
        assert_eq!(interfaces.name(1, Duration::ZERO).as_deref(), Some("lo"));
    }

    #[test]
    fn numbers_that_no_interface_has() {
        let mut interfaces = Interfaces::new();
        for index in [0, u32::MAX, 2_734_686_214] {
            assert_eq!(interfaces.name(index, Duration::ZERO), None);
        }
    }
}
