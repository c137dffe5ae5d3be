//! `process_*`, as every Prometheus client has them, from `/proc/self`.
//!
//! This is about the exporter itself, so it is always its own `/proc`, not the host's. The
//! `prometheus` crate has a collector for it, which counts CPU time in whole seconds.

use std::fs;

use super::family::Families;
use super::names::{self, Name};

/// Ticks in a second as user space sees them: the same on every Linux that we run on.
const TICKS: f64 = 100.0;

pub(super) fn collect(families: &mut Families) {
    let mut add = |name: &'static Name, number: Option<f64>| {
        if let Some(number) = number {
            families.add(name, &[], number);
        }
    };
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let stat = Stat::parse(&read("/proc/self/stat"));
    if let Some(stat) = stat {
        let boot = boot_time(&read("/proc/stat"));
        add(&names::PROCESS_CPU, Some(stat.cpu_seconds));
        add(&names::PROCESS_THREADS, Some(stat.threads));
        add(&names::PROCESS_VIRTUAL, Some(stat.virtual_bytes));
        add(&names::PROCESS_START, boot.map(|boot| boot + stat.started));
    }
    add(&names::PROCESS_RESIDENT, resident(&read("/proc/self/status")));
    let limits = read("/proc/self/limits");
    add(&names::PROCESS_MAX_FDS, limit(&limits, "Max open files"));
    add(&names::PROCESS_VIRTUAL_MAX, limit(&limits, "Max address space"));
    // One of them is the directory being counted.
    let open = fs::read_dir("/proc/self/fd").map(|entries| entries.count().saturating_sub(1));
    #[allow(clippy::cast_precision_loss)]
    add(&names::PROCESS_OPEN_FDS, open.ok().map(|open| open as f64));
}

#[derive(Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    threads: f64,
    started: f64,
    virtual_bytes: f64,
}

impl Stat {
    /// The fields after the command, which may itself hold spaces and parentheses.
    fn parse(stat: &str) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / TICKS,
            threads: field(20)?,
            started: field(22)? / TICKS,
            virtual_bytes: field(23)?,
        })
    }
}

fn boot_time(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn resident(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: f64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024.0)
}

/// The soft limit with this name.
#[allow(clippy::cast_precision_loss)]
fn limit(limits: &str, name: &str) -> Option<f64> {
    let soft = limits.lines().find_map(|line| line.strip_prefix(name))?.split_ascii_whitespace().next()?;
    // What has no limit is limited by the type, as other clients report it.
    if soft == "unlimited" { Some(u64::MAX as f64) } else { soft.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 3 0 1200 8192 5 0";
        let expected = Stat { cpu_seconds: 2.0, threads: 3.0, started: 12.0, virtual_bytes: 8192.0 };
        assert_eq!(Stat::parse(stat), Some(expected));
        assert_eq!(Stat::parse(""), None);
        assert_eq!(Stat::parse("7 (a) S 1"), None);
    }

    #[test]
    fn files_of_proc_are_understood() {
        assert_eq!(boot_time("cpu 1 2\nbtime 1700000000\n"), Some(1.7e9));
        assert_eq!(resident("VmPeak:\t 9 kB\nVmRSS:\t    12 kB\n"), Some(12288.0));
        let limits = "Limit  Soft Limit  Hard Limit Units\nMax address space unlimited unlimited bytes\nMax open files 1024 4096 files\n";
        assert_eq!(limit(limits, "Max open files"), Some(1024.0));
        assert_eq!(limit(limits, "Max address space"), Some(u64::MAX as f64));
        assert_eq!(limit(limits, "Max nothing"), None);
    }

    #[test]
    fn this_process_has_all_of_it() {
        let mut families = Families::default();
        collect(&mut families);
        let families = families.finish();
        assert_eq!(families.len(), 8);
        assert!(families.iter().all(|family| {
            let metric = &family.get_metric()[0];
            metric.get_gauge().get_value() + metric.get_counter().get_value() >= 0.0
        }));
    }
}
