//! Sockets to listen at: our own, or those that systemd hands over.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use listenfd::ListenFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

use crate::cli::Listen;
use crate::server::Listener;

/// Connections that the kernel completes ahead of us; it cuts this to its own limit.
const BACKLOG: i32 = 1024;

/// Why a place cannot be listened at.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The kernel refused.
    #[error("cannot listen at {place}: {reason}{}", help(reason))]
    Refused {
        /// Where.
        place: String,
        /// The kernel's answer.
        reason: io::Error,
    },
    /// There is no such socket from systemd.
    #[error(
        "cannot listen at fd://{index}: systemd handed over {count} sockets{}",
        if *.count == 0 { " (is this started by its .socket unit?)" } else { ", and this is not one that is left (they count from 0)" }
    )]
    NoDescriptor {
        /// Which was asked for.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// The socket is none that connections can be accepted from.
    #[error("cannot listen at fd://{index}: a TCP or Unix stream socket that listens is expected: {found}")]
    WrongDescriptor {
        /// Which.
        index: usize,
        /// What it is instead.
        found: String,
    },
}

fn help(reason: &io::Error) -> &'static str {
    match reason.kind() {
        io::ErrorKind::AddrInUse => " (is another exporter running? --web.listen-address takes another port)",
        io::ErrorKind::PermissionDenied => " (ports below 1024 need CAP_NET_BIND_SERVICE)",
        io::ErrorKind::AddrNotAvailable => " (no interface has this address)",
        _ => "",
    }
}

/// The sockets that systemd handed over and that are asked for, or why they cannot be used.
#[derive(Debug, Default)]
pub struct HandedOver(BTreeMap<usize, Result<Listener, ListenError>>);

impl HandedOver {
    /// Takes over what the places ask for. The process must have one thread still, because variables
    /// are removed from the environment, and have opened nothing: where the environment names a
    /// descriptor that was not handed over, one of our own would have its number.
    #[must_use]
    pub fn take(places: &[Listen]) -> Self {
        let asked = places.iter().filter_map(|place| match place {
            Listen::Descriptor(index) => Some(*index),
            _ => None,
        });
        let asked: BTreeSet<usize> = asked.collect();
        if asked.is_empty() {
            return Self::default();
        }
        let mut all = ListenFd::from_env();
        Self(asked.into_iter().map(|index| (index, descriptor(&mut all, index))).collect())
    }

    fn remove(&mut self, index: usize) -> Result<Listener, ListenError> {
        self.0.remove(&index).unwrap_or(Err(ListenError::NoDescriptor { index, count: self.0.len() }))
    }
}

/// Listens at every place.
///
/// # Errors
/// When one of the places cannot be listened at.
pub fn bind(places: &[Listen], mut handed_over: HandedOver) -> Result<Vec<Listener>, ListenError> {
    let mut listeners = Vec::with_capacity(places.len());
    for place in places {
        match *place {
            Listen::Everywhere { port } => listeners.push(everywhere(port)?),
            Listen::Address(address) => listeners.push(one(address)?),
            Listen::Localhost { port } => localhost(port, &mut listeners)?,
            Listen::Descriptor(index) => listeners.push(handed_over.remove(index)?),
        }
    }
    Ok(listeners)
}

/// Where a listener listens, as text for people.
#[must_use]
pub fn place(listener: &Listener) -> String {
    match listener {
        Listener::Tcp(listener) => {
            listener.local_addr().map_or_else(|_| "unknown".into(), |address| address.to_string())
        }
        Listener::Unix(listener) => {
            let address = listener.local_addr().ok();
            let path = address.as_ref().and_then(|address| address.as_pathname());
            path.map_or_else(|| "unix".into(), |path| format!("unix:{}", path.display()))
        }
    }
}

fn everywhere(port: u16) -> Result<Listener, ListenError> {
    match listen((Ipv6Addr::UNSPECIFIED, port).into()) {
        Err(error) if has_no_ipv6(error) => one((Ipv4Addr::UNSPECIFIED, port).into()),
        result => named(result, || format!(":{port}")),
    }
}

/// IPv4 is needed. IPv6 is a courtesy: some hosts have none, and on some another service has the port.
fn localhost(port: u16, listeners: &mut Vec<Listener>) -> Result<(), ListenError> {
    let listener = one((Ipv4Addr::LOCALHOST, port).into())?;
    let port = match &listener {
        Listener::Tcp(listener) => listener.local_addr().map_or(port, |address| address.port()),
        Listener::Unix(_) => port,
    };
    listeners.push(listener);
    match listen((Ipv6Addr::LOCALHOST, port).into()) {
        Ok(listener) => listeners.push(listener.into()),
        Err(error) if has_no_ipv6(error) => {}
        Err(error) => tracing::warn!(port, error = %error, "localhost is served over IPv4 alone"),
    }
    Ok(())
}

fn one(address: SocketAddr) -> Result<Listener, ListenError> {
    named(listen(address), || address.to_string())
}

fn named(result: Result<TcpListener, Errno>, place: impl Fn() -> String) -> Result<Listener, ListenError> {
    result.map(Listener::Tcp).map_err(|error| ListenError::Refused { place: place(), reason: error.into() })
}

/// IPv6 switched off at boot, or by sysctl for every interface.
fn has_no_ipv6(error: Errno) -> bool {
    matches!(error, Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT | Errno::ADDRNOTAVAIL)
}

/// `std` cannot ask for both IPv6 and IPv4, and leaves the choice to a sysctl.
fn listen(address: SocketAddr) -> Result<TcpListener, Errno> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket: OwnedFd = rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, !address.ip().is_unspecified())?;
    }
    // A restart must not wait for the old connections' TIME_WAIT.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

fn descriptor(handed_over: &mut ListenFd, index: usize) -> Result<Listener, ListenError> {
    let count = handed_over.len();
    let missing = ListenError::NoDescriptor { index, count };
    if index >= count {
        return Err(missing);
    }
    // A socket of the wrong family stays where it is, so the other family can be tried.
    let (listener, listens) = match handed_over.take_tcp_listener(index) {
        Ok(None) => return Err(missing),
        Ok(Some(listener)) => {
            let listens = sockopt::socket_acceptconn(&listener);
            (Listener::Tcp(listener), listens)
        }
        Err(_) => match handed_over.take_unix_listener(index) {
            Ok(None) => return Err(missing),
            Ok(Some(listener)) => {
                let listens = sockopt::socket_acceptconn(&listener);
                (Listener::Unix(listener), listens)
            }
            Err(error) => return Err(ListenError::WrongDescriptor { index, found: error.to_string() }),
        },
    };
    if listens == Ok(true) {
        return Ok(listener);
    }
    Err(ListenError::WrongDescriptor { index, found: "this one does not listen".into() })
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    fn bound(places: &[Listen]) -> Vec<SocketAddr> {
        let listeners = bind(places, HandedOver::take(places)).unwrap();
        let address = |listener: &Listener| match listener {
            Listener::Tcp(listener) => {
                let address = listener.local_addr().unwrap();
                let reachable = if address.ip().is_unspecified() {
                    SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()))
                } else {
                    address
                };
                TcpStream::connect(reachable).unwrap();
                address
            }
            Listener::Unix(_) => panic!("no Unix socket was asked for"),
        };
        listeners.iter().map(address).collect()
    }

    #[test]
    fn everywhere_takes_ipv4_too() {
        // Where this machine has IPv6, the socket is [::] and takes IPv4 (`bound` connects over it).
        assert!(bound(&[Listen::Everywhere { port: 0 }])[0].ip().is_unspecified());
    }

    #[test]
    fn localhost_has_one_port() {
        let addresses = bound(&[Listen::Localhost { port: 0 }]);
        assert_eq!(addresses[0].ip(), Ipv4Addr::LOCALHOST);
        assert!(
            addresses
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() == addresses[0].port())
        );
    }

    #[test]
    fn several_places_can_be_listened_at() {
        let place = Listen::Address("127.0.0.1:0".parse().unwrap());
        let addresses = bound(&[place, place]);
        assert_eq!(addresses.len(), 2);
        assert_ne!(addresses[0], addresses[1]);
    }

    #[test]
    fn a_port_in_use_is_explained() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = bind(&[Listen::Address(address)], HandedOver::default()).unwrap_err().to_string();
        assert!(error.contains(&address.to_string()) && error.contains("another exporter"), "{error}");
        let told = format!(
            "{:#}",
            anyhow::Error::from(bind(&[Listen::Address(address)], HandedOver::default()).unwrap_err())
        );
        assert_eq!(told.matches("Address already in use").count(), 1, "{told}");
    }

    #[test]
    fn descriptors_that_nobody_handed_over_are_explained() {
        let places = [Listen::Descriptor(2)];
        let error = bind(&places, HandedOver::take(&places)).unwrap_err().to_string();
        assert!(error.contains("fd://2") && error.contains(".socket unit"), "{error}");
    }
}
