//! Workloads in a control group of their own: what is counted for it is theirs alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::groups::ControlGroup;
use super::run;
use crate::common::exporter::Exporter;

/// A control group and what belongs to it.
pub struct Group(ControlGroup);

impl Group {
    #[track_caller]
    pub fn new() -> Self {
        Self(ControlGroup::new())
    }

    /// Runs a program as a member; what it prints are names and numbers.
    #[track_caller]
    pub fn run(&self, program: &Path, arguments: &[&str]) -> BTreeMap<String, f64> {
        let procs = self.0.path.join("cgroup.procs");
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ > \"$0\"; exec \"$@\""]).arg(procs).arg(program).args(arguments);
        let text = String::from_utf8(run(&mut command).stdout).unwrap();
        let lines = text.lines().filter_map(|line| {
            let (name, number) = line.split_once(' ')?;
            Some((name.to_owned(), number.parse().ok()?))
        });
        lines.collect()
    }

    /// The series of a family that are this group's, by their other labels.
    #[track_caller]
    pub fn series(&self, exporter: &Exporter, family: &str) -> BTreeMap<String, f64> {
        let mut found = BTreeMap::new();
        for (mut labels, value) in exporter.values(&format!("ebpf_exporter_{family}")) {
            if labels.remove("cgroup").is_some_and(|cgroup| cgroup.ends_with(&self.0.name)) {
                let labels: Vec<String> =
                    labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
                found.insert(labels.join(","), value);
            }
        }
        found
    }

    /// Their sum.
    #[track_caller]
    pub fn sum(&self, exporter: &Exporter, family: &str) -> f64 {
        self.series(exporter, family).values().sum()
    }
}

/// Programs (by how their names begin) that counted all events, but for those that the kernel itself did
/// not show them: one that is running on a CPU is not run again by an interrupt there, which the kernel
/// counts.
#[track_caller]
pub fn check_events(what: &str, programs: &str, counted: f64, events: f64) {
    // Of names the kernel keeps 15 characters.
    let begin = &programs[..programs.len().min(15)];
    let missed: u64 = libbpf_rs::query::ProgInfoIter::default()
        .filter(|info| info.name.to_string_lossy().starts_with(begin))
        .map(|info| info.recursion_misses)
        .sum();
    let range = events - missed as f64..=events;
    assert!(range.contains(&counted), "{what}: {counted} of {events} events, {missed} of them not shown");
}

/// Whether this kernel is of a version or later.
pub fn since(major: u32, minor: u32) -> bool {
    let release = rustix::system::uname().release().to_str().unwrap().to_owned();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse::<u32>().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap()) >= (major, minor)
}
