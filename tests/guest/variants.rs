//! Machines that are otherwise: many CPUs of which some are missing, no IPv6, a kernel that is locked.

/// What a locked kernel still lets programs do. The last one, since nothing unlocks it.
mod lockdown;

/// CPUs that could come, and do not.
mod processors;

use std::path::Path;

use crate::hooks;
use crate::matrix::{self, pairs};
use crate::shipped::start_all;

/// `boot.sh` says so: so many CPUs could be there, and so many are.
const POSSIBLE: usize = 8;
const ONLINE: usize = 6;

#[test]
fn hooks_without_ipv6_see_what_there_is() {
    assert!(!Path::new("/proc/net/if_inet6").exists());
    hooks::check("no IPv6", &[], |hook, _| hook.kind.ends_with('6').then(|| "nothing to see".to_owned()));
}

/// Without IPv6, and on as many CPUs as there are.
#[test]
fn every_pair_is_served() {
    let exporter = start_all();
    let page = exporter.page();
    processors::check_pairs(&page);
    for (pair, cell) in pairs(&page, &exporter.log()) {
        matrix::record("pairs, no IPv6", &pair, &cell);
        assert!(cell.starts_with("true"), "{pair}: {cell}");
    }
}
