//! The kernel's statistics of programs: run time and run count.

use std::os::fd::OwnedFd;

use crate::host::Roots;
use crate::problem::{Place, Problem};

use super::raw;

/// Keeps the kernel's statistics of BPF programs on for as long as it lives.
#[derive(Debug)]
pub struct StatisticsGuard {
    _descriptor: OwnedFd,
}

/// Has the kernel keep statistics of BPF programs without touching the sysctl (Linux 5.8, `CAP_SYS_ADMIN`).
///
/// # Errors
/// When the kernel refuses.
pub fn enable_statistics() -> Result<StatisticsGuard, Box<Problem>> {
    raw::enable_statistics().map(|descriptor| StatisticsGuard { _descriptor: descriptor }).map_err(|error| {
        let problem = Problem::error(
            "statistics",
            Place::default(),
            "the kernel does not keep statistics of BPF programs for us",
        );
        let help = match error.raw_os_error() {
            Some(libc::EPERM) => "start with CAP_SYS_ADMIN, or set the sysctl kernel.bpf_stats_enabled to 1",
            _ => "Linux before 5.8 knows only the sysctl kernel.bpf_stats_enabled: set it to 1",
        };
        problem.found(error.to_string()).help(help).into()
    })
}

/// Whether the sysctl `kernel.bpf_stats_enabled` has the kernel keep statistics of BPF programs.
#[must_use]
pub fn statistics_enabled(roots: &Roots) -> bool {
    std::fs::read_to_string(roots.procfs.join("sys/kernel/bpf_stats_enabled"))
        .is_ok_and(|text| text.trim() == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content: Option<&str>, expected: bool) {
        let folder = tempfile::tempdir().unwrap();
        let kernel = folder.path().join("sys/kernel");
        std::fs::create_dir_all(&kernel).unwrap();
        if let Some(content) = content {
            std::fs::write(kernel.join("bpf_stats_enabled"), content).unwrap();
        }
        let roots = Roots { procfs: folder.path().into(), ..Roots::default() };
        assert_eq!(statistics_enabled(&roots), expected);
    }

    #[test]
    fn the_sysctl_is_read_below_its_root() {
        check(Some("1\n"), true);
        check(Some("0\n"), false);
        check(Some(""), false);
        check(None, false);
    }
}
