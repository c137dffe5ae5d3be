//! The hosts file.

use std::net::IpAddr;

/// All addresses of a name, which is in lower case, in the order of the file.
pub(super) fn addresses(text: &str, name: &str) -> Vec<IpAddr> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let mut found = Vec::new();
    for line in lines {
        let mut words = line.split_ascii_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse) else { continue };
        if words.any(|word| word.eq_ignore_ascii_case(name)) && !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: &str = "\
# the machine's own
127.0.0.1 localhost
10.0.0.1\tcollector.example Collector # not this: other
fe80::1%eth0 scoped
10.0.0.2 other collector
::5 collector
10.0.0.1 collector
nonsense collector
";

    #[track_caller]
    fn check(name: &str, expected: &[&str]) {
        let found: Vec<String> = addresses(HOSTS, name).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{name}");
    }

    #[test]
    fn names_are_found_with_all_their_addresses() {
        check("collector", &["10.0.0.1", "10.0.0.2", "::5"]);
        check("collector.example", &["10.0.0.1"]);
        check("other", &["10.0.0.2"]);
        check("scoped", &[]);
        check("10.0.0.1", &[]);
        check("collect", &[]);
        check("", &[]);
    }
}
