//! Network interfaces: names by index, in the exporter's own network namespace.
//!
//! An interface can be renamed, and its index given to another one after it is
//! gone, so an answer is good for a few seconds only; asking the kernel costs
//! about as much as a good hash look-up.

use std::hash::{Hash, Hasher};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::cache::TtlCache;
use super::file::read_at_most;
use super::{Pattern, Roots};

/// How long a name is good.
const KNOWN_FOR: Duration = Duration::from_secs(5);

/// How long an index without a name stays without.
const UNKNOWN_FOR: Duration = Duration::from_secs(1);

/// Keys can hold any number; this many of them are remembered.
const MOST_REMEMBERED: usize = 16_384;

/// A network interface. It is the same one when it has another name.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its name, which can change.
    pub name: String,
    /// Its number, which no other one gets while it is there.
    pub index: u32,
}

impl PartialEq for Interface {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index
    }
}

impl Eq for Interface {}

impl Hash for Interface {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.index.hash(state);
    }
}

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
            self.socket = socket();
        }
        let name = rustix::net::netdevice::index_to_name(self.socket.as_ref()?, index).ok()?;
        Some(name.into())
    }
}

fn socket() -> Option<OwnedFd> {
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).ok()
}

/// The interfaces of the calling thread's network namespace that are meant, and the names that are not there.
pub(super) fn select(roots: &Roots, patterns: &[Pattern]) -> (Vec<Interface>, Vec<String>) {
    // A new socket is of the namespace that the thread is in now.
    let Some(socket) = socket() else { return (Vec::new(), Vec::new()) };
    let interface = |name: &str| {
        let index = rustix::net::netdevice::name_to_index(&socket, name).ok()?;
        Some(Interface { name: name.to_owned(), index })
    };
    let (mut found, mut missing): (Vec<Interface>, Vec<String>) = (Vec::new(), Vec::new());
    for pattern in patterns {
        if pattern.is_exact() {
            match interface(pattern.text()) {
                Some(interface) => found.push(interface),
                None => missing.push(pattern.text().to_owned()),
            }
        } else {
            let names = names(roots);
            found
                .extend(names.iter().filter(|name| pattern.matches(name)).filter_map(|name| interface(name)));
        }
    }
    found.sort_unstable_by_key(|interface| interface.index);
    found.dedup_by_key(|interface| interface.index);
    (found, missing)
}

/// The names of all interfaces of the calling thread's network namespace.
pub(super) fn names(roots: &Roots) -> Vec<String> {
    let path = roots.procfs.join("thread-self/net/dev");
    let text = read_at_most(&path, 16 << 20).unwrap_or_default();
    parse(&String::from_utf8_lossy(&text))
}

/// Names before the colons, below two lines of heading.
fn parse(text: &str) -> Vec<String> {
    let name = |line: &str| line.split_once(':').map(|(name, _)| name.trim().to_owned());
    text.lines().skip(2).filter_map(name).collect()
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
    fn names_are_listed_and_selected() {
        let text = "Inter-|   Receive\n face |bytes    packets\n    lo: 1 2 3\neth0.100:  5 6\n";
        assert_eq!(parse(text), ["lo", "eth0.100"]);
        let roots = Roots::default();
        assert!(names(&roots).contains(&"lo".to_owned()));
        let named = |(found, missing): (Vec<Interface>, Vec<String>)| {
            let found: Vec<_> = found.into_iter().map(|found| (found.name, found.index)).collect();
            (found, missing)
        };
        let lo = ("lo".to_owned(), 1);
        for pattern in ["lo", "l?", "lo*"] {
            let found = named(select(&roots, &[Pattern::new(pattern)]));
            assert_eq!(found, (vec![lo.clone()], vec![]), "{pattern}");
        }
        let patterns =
            ["no-such-if", "no-such-*", "a name that is far too long for an interface", "lo", "l*"];
        let (found, missing) = named(select(&roots, &patterns.map(Pattern::new)));
        assert_eq!(found, [lo]);
        assert_eq!(missing, [patterns[0], patterns[2]]);
    }

    #[test]
    fn numbers_that_no_interface_has() {
        let mut interfaces = Interfaces::new();
        for index in [0, u32::MAX, 2_734_686_214] {
            assert_eq!(interfaces.name(index, Duration::ZERO), None);
        }
    }
}
