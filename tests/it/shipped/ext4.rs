//! ext4 and its journal, against operations of our own and what the journal counts itself.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate};

use super::mounted::{Mounted, of_device};
use super::start;
use super::workloads::check_events;

/// Transactions that a device's journal committed.
#[track_caller]
fn transactions(device: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/fs/jbd2/{device}-8/info")).unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Something for each metric.
pub fn exercise() {
    let mounted = Mounted::new();
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(mounted.file("some")).unwrap();
    file.set_len(10).unwrap();
    file.sync_all().unwrap();
}

#[test]
fn operations_and_commits_are_exact() {
    const FILES: u32 = 60;
    let mounted = Mounted::new();
    let exporter = start("ext4");
    let device = mounted.device.name();
    let commits = || -> f64 {
        let commits = of_device(&exporter, &mounted.device, "ext4_journal_commit_seconds_count");
        BTreeMap::into_values(commits).sum()
    };
    // The journal rests: nothing was done yet that it would have to commit by its own timer.
    let (transactions_at_rest, commits_at_rest) = (transactions(&device), commits());
    // Since then. Who waits for a commit may go on a moment before its end is shown.
    let shown = |before: f64, committed: f64| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while commits() - before < committed && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        commits()
    };
    // What is not committed would be some time, by that timer.
    let commit = || rustix::fs::syncfs(File::open(mounted.file("")).unwrap()).unwrap();
    commit();
    let committed = transactions(&device);
    let commits_before = shown(commits_at_rest, committed - transactions_at_rest);
    let begin = Instant::now();
    for number in 0..FILES {
        let path = mounted.file(&number.to_string());
        let file = OpenOptions::new().write(true).create_new(true).open(&path).unwrap();
        fallocate(&file, FallocateFlags::empty(), 0, 8192).unwrap();
        file.sync_all().unwrap();
        file.set_len(0).unwrap();
        std::fs::remove_file(&path).unwrap();
    }
    let took = begin.elapsed().as_secs_f64();
    commit();
    let committed = transactions(&device) - committed;

    let counts = of_device(&exporter, &mounted.device, "ext4_operation_latency_seconds_count");
    let seconds = of_device(&exporter, &mounted.device, "ext4_operation_latency_seconds_sum");
    for operation in ["sync", "unlink", "truncate", "fallocate"] {
        let labels = format!("operation={operation}");
        let counted = counts.get(&labels).copied().unwrap_or_default();
        check_events(operation, &format!("{operation}_"), counted, FILES.into());
        assert!(0.0 < seconds[&labels] && seconds[&labels] <= took, "{operation}: {} s", seconds[&labels]);
    }
    assert!(committed >= f64::from(FILES), "{committed} commits");
    let commits = shown(commits_before, committed) - commits_before;
    check_events("commits", "commit_", commits, committed);
}
