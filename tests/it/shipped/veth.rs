use std::process::Command;

use super::{interfaces, run, start};

/// Two interfaces that are the ends of one cable.
struct Pair([String; 2]);

impl Pair {
    #[track_caller]
    fn new() -> Self {
        let ends = ["a", "b"].map(|end| format!("bpft{end}{}", std::process::id() % 1_000_000));
        run(Command::new("ip").args(["link", "add", &ends[0], "type", "veth", "peer", "name", &ends[1]]));
        let pair = Self(ends);
        for end in &pair.0 {
            // Nothing but the test's frames.
            let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{end}/disable_ipv6"), "1");
            run(Command::new("ip").args(["link", "set", end, "up"]));
        }
        pair
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "del", &self.0[0]]).status();
    }
}

#[test]
fn packets_between_two_interfaces_are_those_that_both_count() {
    let pair = Pair::new();
    let exporter = start("interfaces");
    interfaces::check_all(&exporter, &pair.0[0], &pair.0[1], 500);
}
