//! `process_*`, as every Prometheus client has them, from `/proc/self`.
//!
//! This is about the exporter itself, so it is always its own `/proc`, not the host's. The
//! `prometheus` crate has a collector for it, which counts CPU time in whole seconds.
//!
//! What the kernel tells by a call is asked by a call: `/proc/self/status`, `/proc/self/limits` and `/proc/stat`
//! are long texts that it composes for each reader. `/proc/self/stat` stays open.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::OnceLock;

use rustix::process::{Resource, getrlimit};

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
    if let Some(stat) = Stat::read() {
        // Since the start it is the same moment, even when the clock is set meanwhile.
        static STARTED: OnceLock<Option<f64>> = OnceLock::new();
        let started = STARTED.get_or_init(|| {
            let text = fs::read_to_string("/proc/stat").unwrap_or_default();
            boot_time(&text).map(|boot| boot + stat.started)
        });
        add(&names::PROCESS_CPU, Some(stat.cpu_seconds));
        add(&names::PROCESS_THREADS, Some(stat.threads));
        add(&names::PROCESS_VIRTUAL, Some(stat.virtual_bytes));
        add(&names::PROCESS_START, *started);
        add(&names::PROCESS_RESIDENT, Some(stat.resident_bytes));
    }
    add(&names::PROCESS_MAX_FDS, Some(soft_limit(Resource::Nofile)));
    add(&names::PROCESS_VIRTUAL_MAX, Some(soft_limit(Resource::As)));
    add(&names::PROCESS_OPEN_FDS, open_descriptors());
}

#[derive(Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    threads: f64,
    started: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        static OPEN: OnceLock<Option<File>> = OnceLock::new();
        let file = OPEN.get_or_init(|| File::open("/proc/self/stat").ok()).as_ref()?;
        // Some fifty numbers.
        let mut text = [0; 2048];
        let length = file.read_at(&mut text, 0).ok()?;
        Self::parse(std::str::from_utf8(text.get(..length)?).ok()?)
    }

    /// The fields after the command, which may itself hold spaces and parentheses.
    #[allow(clippy::cast_precision_loss)]
    fn parse(stat: &str) -> Option<Self> {
        let fields = stat.rsplit_once(')')?.1;
        let field = |number: usize| fields.split_ascii_whitespace().nth(number - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / TICKS,
            threads: field(20)?,
            started: field(22)? / TICKS,
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * rustix::param::page_size() as f64,
        })
    }
}

fn boot_time(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// What has no limit is limited by the type, as other clients report it.
#[allow(clippy::cast_precision_loss)]
fn soft_limit(resource: Resource) -> f64 {
    getrlimit(resource).current.unwrap_or(u64::MAX) as f64
}

/// Since Linux 6.2 the size of the directory is how many there are.
#[allow(clippy::cast_precision_loss)]
fn open_descriptors() -> Option<f64> {
    const FOLDER: &str = "/proc/self/fd";
    let size = fs::metadata(FOLDER).map_or(0, |folder| folder.size());
    // One of them is the directory being counted.
    let counted = || Some((fs::read_dir(FOLDER).ok()?.count() as u64).saturating_sub(1));
    Some(size).filter(|size| *size > 0).or_else(counted).map(|open| open as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 3 0 1200 8192 5 0";
        let resident_bytes = 5.0 * rustix::param::page_size() as f64;
        let expected =
            Stat { cpu_seconds: 2.0, threads: 3.0, started: 12.0, virtual_bytes: 8192.0, resident_bytes };
        assert_eq!(Stat::parse(stat), Some(expected));
        assert_eq!(Stat::parse(""), None);
        assert_eq!(Stat::parse("7 (a) S 1"), None);
    }

    #[test]
    fn the_time_of_the_boot_is_found() {
        assert_eq!(boot_time("cpu 1 2\nbtime 1700000000\n"), Some(1.7e9));
    }

    #[test]
    fn what_calls_say_is_what_the_files_of_proc_say() {
        let read = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap();
        let limit = |name: &str| {
            let limits = read("limits");
            let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
            line.split_ascii_whitespace().next().unwrap().parse().unwrap_or(u64::MAX as f64)
        };
        assert_eq!(soft_limit(Resource::Nofile), limit("Max open files"));
        assert_eq!(soft_limit(Resource::As), limit("Max address space"));
        let status = read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        let ratio = Stat::read().unwrap().resident_bytes / (kilobytes * 1024.0);
        assert!((0.5..2.0).contains(&ratio), "{ratio}");
        // Other tests open and close files meanwhile.
        assert!(open_descriptors().unwrap() >= 3.0);
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
