//! Where to listen. Names are not looked up: a static binary has no resolver.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// One place to listen at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// `:9435`: every address of the host, IPv6 and IPv4; IPv4 alone where IPv6 is off.
    Everywhere {
        /// The port.
        port: u16,
    },
    /// `localhost:9435`: 127.0.0.1, and ::1 where there is IPv6.
    Localhost {
        /// The port.
        port: u16,
    },
    /// One address.
    Address(SocketAddr),
    /// `fd://N`: the N-th socket, from 0, that systemd handed over.
    Descriptor(usize),
}

/// Reads one `--web.listen-address`.
///
/// # Errors
/// A sentence that says what is wrong and what would be right.
pub(super) fn parse(text: &str) -> Result<Listen, String> {
    if let Some(index) = text.strip_prefix("fd://") {
        let number = index.parse().ok().filter(|_| !index.starts_with('+'));
        return number.map(Listen::Descriptor).ok_or_else(|| {
            "after fd:// the number of a socket from systemd is expected, from 0: fd://0".into()
        });
    }
    if let Some((scheme, _)) = text.split_once("://") {
        return Err(format!("{scheme}:// is not known here: give an address as in :9435, or fd://0"));
    }
    let Some((host, port)) = text.rsplit_once(':').filter(|(_, port)| !port.contains(']')) else {
        let is_port = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let help = if is_port { format!(":{text}") } else { format!("{text}:9435") };
        return Err(format!("the port is missing: did you mean {help}?"));
    };
    let number = port.parse::<u16>().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()));
    let port = number.ok_or_else(|| format!("{port:?} is not a port: a number up to 65535 is expected"))?;
    if host.is_empty() || host == "[::]" {
        return Ok(Listen::Everywhere { port });
    }
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(Listen::Localhost { port });
    }
    if host.starts_with('[') {
        return text.parse().map(Listen::Address).map_err(|_| {
            format!("{host} is not an IPv6 address (a zone is given by the interface's number: [fe80::1%2])")
        });
    }
    if host.parse::<Ipv6Addr>().is_ok() || host.contains(':') {
        return Err(format!("an IPv6 address stands in brackets: [{host}]:{port}"));
    }
    let address = host.parse::<IpAddr>().map_err(|_| {
        format!("{host:?} is not an IP address, and host names are not looked up: give the address itself")
    })?;
    Ok(Listen::Address(SocketAddr::new(address, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Listen) {
        assert_eq!(parse(text), Ok(expected), "{text:?}");
    }

    #[track_caller]
    fn check_refused(text: &str, part: &str) {
        let error = parse(text).unwrap_err();
        assert!(error.contains(part), "{text:?}: {error}");
    }

    #[test]
    fn addresses_are_read() {
        check(":9435", Listen::Everywhere { port: 9435 });
        check("[::]:9435", Listen::Everywhere { port: 9435 });
        check(":0", Listen::Everywhere { port: 0 });
        check("localhost:9435", Listen::Localhost { port: 9435 });
        check("LocalHost:1", Listen::Localhost { port: 1 });
        check("0.0.0.0:9435", Listen::Address("0.0.0.0:9435".parse().unwrap()));
        check("127.0.0.1:65535", Listen::Address("127.0.0.1:65535".parse().unwrap()));
        check("[::1]:80", Listen::Address("[::1]:80".parse().unwrap()));
        check("[fe80::1%2]:80", Listen::Address("[fe80::1%2]:80".parse().unwrap()));
        check("fd://0", Listen::Descriptor(0));
        check("fd://12", Listen::Descriptor(12));
    }

    #[test]
    fn mistakes_are_explained() {
        check_refused("", "port is missing");
        check_refused("9435", ":9435");
        check_refused("127.0.0.1", "127.0.0.1:9435");
        check_refused("[::1]", "[::1]:9435");
        check_refused(":", "is not a port");
        check_refused(":http", "is not a port");
        check_refused(":65536", "65535");
        check_refused(":+1", "is not a port");
        check_refused("::1:9435", "brackets");
        check_refused("example.org:9435", "not looked up");
        check_refused("[nonsense]:1", "IPv6");
        check_refused("[fe80::1%eth0]:1", "number");
        check_refused("256.0.0.1:1", "not an IP address");
        check_refused("unix:///run/x", "fd://0");
        check_refused("tcp://0.0.0.0:1", "tcp://");
        check_refused("fd://", "from 0");
        check_refused("fd://x", "from 0");
        check_refused("fd://-1", "from 0");
        check_refused("fd://+1", "from 0");
    }
}
