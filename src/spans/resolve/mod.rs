//! Names of hosts to addresses, without glibc: in a static binary its resolver would load libraries
//! of another glibc than it was built with.
//!
//! What is an address or `localhost` needs nobody. Other names are looked up in the hosts file, then
//! asked of the servers in `resolv.conf`, with its search list, as `getaddrinfo` would. Nothing is
//! remembered: there is one question every few seconds, and the answer may change.

mod conf;
mod hosts;
mod message;
mod query;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Instant;

use conf::Conf;
use message::Kind;

/// Files beyond this size hold something else.
const MOST_BYTES: u64 = 1024 * 1024;

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ResolveError {
    #[error("the host {name:?} is not known to the name server {server}")]
    Unknown { name: String, server: IpAddr },
    #[error("no name server says where the host {name:?} is: {why}")]
    Failed { name: String, why: String },
}

/// Finds addresses.
#[derive(Clone, Debug)]
pub(super) struct Resolver {
    hosts: PathBuf,
    conf: PathBuf,
    /// The port of name servers, which no file says.
    port: u16,
}

impl Default for Resolver {
    fn default() -> Self {
        Self { hosts: "/etc/hosts".into(), conf: "/etc/resolv.conf".into(), port: 53 }
    }
}

impl Resolver {
    /// The addresses of a host, at least one of them.
    pub(super) fn resolve(&self, host: &str, deadline: Instant) -> Result<Vec<IpAddr>, ResolveError> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        if name == "localhost" || name.ends_with(".localhost") {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let known = hosts::addresses(&read(&self.hosts), &name);
        if !known.is_empty() {
            return Ok(known);
        }
        self.ask(host, &name, deadline)
    }

    /// Asks name servers for each name that the search list makes of it.
    fn ask(&self, host: &str, name: &str, deadline: Instant) -> Result<Vec<IpAddr>, ResolveError> {
        let conf = Conf::parse(&read(&self.conf));
        let mut unknown = None;
        for candidate in conf.candidates(name, host.ends_with('.')) {
            for kind in [Kind::A, Kind::Aaaa] {
                let answer = query::ask(&conf, self.port, &candidate, kind, deadline);
                let (server, answer) =
                    answer.map_err(|why| ResolveError::Failed { name: candidate.clone(), why })?;
                if !answer.addresses.is_empty() {
                    return Ok(answer.addresses);
                }
                unknown = Some(server);
                if answer.is_unknown {
                    break;
                }
            }
        }
        let name = name.to_owned();
        Err(match unknown {
            Some(server) => ResolveError::Unknown { name, server },
            None => ResolveError::Failed { name, why: "no name can be made of it".to_owned() },
        })
    }
}

/// The text of a file; nothing when there is none.
fn read(path: &std::path::Path) -> String {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map(|file| file.take(MOST_BYTES));
    let _ = file.and_then(|mut file| file.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
