//! Machines that are otherwise: many CPUs of which some are missing, no IPv6, a kernel that is locked.

/// What a locked kernel still lets programs do. The last one, since nothing unlocks it.
mod lockdown;

/// CPUs that could come, and do not.
mod processors;

use std::path::Path;

use crate::hooks;

/// `boot.sh` says so: so many CPUs could be there, and so many are.
const POSSIBLE: usize = 8;
const ONLINE: usize = 6;

/// The kernel is also locked as with Secure Boot, which takes nothing away of what these see.
#[test]
fn hooks_without_ipv6_see_what_there_is() {
    lockdown::lock("integrity");
    assert!(!Path::new("/proc/net/if_inet6").exists());
    hooks::check("no IPv6, integrity", &[], |hook, _| {
        hook.kind.ends_with('6').then(|| "nothing to see".to_owned())
    });
}
