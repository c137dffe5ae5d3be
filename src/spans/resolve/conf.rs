//! `resolv.conf`: which servers to ask for which names.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Servers and names to search that count, as glibc has it for the former.
const MOST_SERVERS: usize = 3;
const MOST_SEARCHED: usize = 32;

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conf {
    pub(super) servers: Vec<IpAddr>,
    search: Vec<String>,
    /// Names with so many dots are tried as they are first.
    dots: usize,
    /// How long one server has for one answer.
    pub(super) timeout: Duration,
    /// How often all servers are asked.
    pub(super) attempts: usize,
}

impl Conf {
    pub(super) fn parse(text: &str) -> Self {
        let mut conf = Self {
            servers: Vec::new(),
            search: Vec::new(),
            dots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        };
        for line in text.lines() {
            if line.starts_with(['#', ';']) {
                continue;
            }
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                // An address with a zone is one of a link, which no collector's name server is.
                Some("nameserver") => {
                    conf.servers.extend(words.next().and_then(|word| word.parse::<IpAddr>().ok()))
                }
                Some("search" | "domain") => {
                    let names = words.map(|word| word.trim_matches('.').to_ascii_lowercase());
                    conf.search = names.filter(|name| !name.is_empty()).take(MOST_SEARCHED).collect();
                }
                Some("options") => words.for_each(|word| conf.option(word)),
                _ => {}
            }
        }
        conf.servers.truncate(MOST_SERVERS);
        if conf.servers.is_empty() {
            conf.servers.push(Ipv4Addr::LOCALHOST.into());
        }
        conf
    }

    fn option(&mut self, word: &str) {
        let Some((name, value)) = word.split_once(':') else { return };
        let Ok(value) = value.parse::<u32>() else { return };
        match name {
            "ndots" => self.dots = value.min(15) as usize,
            "timeout" => self.timeout = Duration::from_secs(u64::from(value.clamp(1, 30))),
            "attempts" => self.attempts = value.clamp(1, 5) as usize,
            _ => {}
        }
    }

    /// The names to ask for, in their order; a name that ended in a dot is whole.
    pub(super) fn candidates(&self, name: &str, is_whole: bool) -> Vec<String> {
        let mut names: Vec<String> = match is_whole {
            true => Vec::new(),
            false => self.search.iter().map(|domain| format!("{name}.{domain}")).collect(),
        };
        let is_first = name.matches('.').count() >= self.dots;
        names.insert(if is_first { 0 } else { names.len() }, name.to_owned());
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_is_read() {
        let conf = Conf::parse(
            "; a comment\n# another\nnameserver 10.96.0.10\nnameserver ::1\nnameserver fe80::1%eth0\n\
             domain example\nsearch ns.svc.cluster.local svc.cluster.local. cluster.local\n\
             options ndots:5 timeout:1 rotate attempts:9\n",
        );
        assert_eq!(conf.servers, ["10.96.0.10".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]);
        assert_eq!(conf.search, ["ns.svc.cluster.local", "svc.cluster.local", "cluster.local"]);
        assert_eq!((conf.dots, conf.timeout, conf.attempts), (5, Duration::from_secs(1), 5));
    }

    #[test]
    fn without_a_file_the_machine_itself_is_asked() {
        let conf = Conf::parse("");
        assert_eq!(conf.servers, ["127.0.0.1".parse::<IpAddr>().unwrap()]);
        assert_eq!((conf.dots, conf.timeout, conf.attempts), (1, Duration::from_secs(5), 2));
    }

    #[track_caller]
    fn check(name: &str, is_whole: bool, expected: &[&str]) {
        let conf = Conf::parse("search a.local local\noptions ndots:2\n");
        assert_eq!(conf.candidates(name, is_whole), expected, "{name}");
    }

    #[test]
    fn short_names_are_searched_first_and_long_ones_last() {
        check("otel", false, &["otel.a.local", "otel.local", "otel"]);
        check("otel.ns", false, &["otel.ns.a.local", "otel.ns.local", "otel.ns"]);
        check("otel.ns.svc", false, &["otel.ns.svc", "otel.ns.svc.a.local", "otel.ns.svc.local"]);
        check("otel", true, &["otel"]);
    }
}
