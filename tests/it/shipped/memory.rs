//! Memory: faults, reclaim, the page cache, and what happens when there is none left.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common::exporter::values_of;

use super::block::LoopDevice;
use super::groups::{ControlGroup, MemoryLimit};
use super::{count, eventually, run, start};

const PAGE: u64 = 4096;

#[test]
fn faults_are_those_that_the_kernel_counts_of_the_process() {
    const PAGES: u32 = 1000;
    let exporter = start("pagefaults");
    let (quiet, busy) = (ControlGroup::new(), ControlGroup::new());
    let value =
        |group: &ControlGroup, kind: &str| group.value(&exporter, &format!("{kind}_page_faults_total"));

    let usage = quiet.work("minor-faults", PAGES, "");
    assert!(usage.get("minor") >= f64::from(PAGES));
    assert_eq!((value(&quiet, "minor"), value(&quiet, "major")), (usage.get("minor"), 0.0));

    // A disk that nobody reads: each page of it has to be fetched.
    let device = LoopDevice::new(u64::from(PAGES) * PAGE);
    let usage = busy.work("major-faults", PAGES, device.path.to_str().unwrap());
    assert!(usage.get("major") >= f64::from(PAGES), "{} of {PAGES}", usage.get("major"));
    assert_eq!((value(&busy, "minor"), value(&busy, "major")), (usage.get("minor"), usage.get("major")));
}

/// The groups of a process that was killed and of the one that wanted memory. They are removed before the one
/// that they are in.
pub struct Killed {
    victim: ControlGroup,
    allocator: ControlGroup,
    _both: ControlGroup,
}

/// Has a process killed because another one wants memory.
#[track_caller]
pub fn kill_for_memory() -> Killed {
    let both = ControlGroup::new();
    let limit = MemoryLimit::new(&both, 96 << 20);
    let (victim, allocator) = (ControlGroup::below(&both.path), ControlGroup::below(&both.path));
    let take = |group: &ControlGroup, megabytes: u32, adjustment: &str| {
        let mut command = limit.bound(group.command("take-memory", megabytes, adjustment));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "taken\n");
        child
    };
    // The second may not be killed where the kernel lets this process say so (CAP_SYS_RESOURCE). Where not, all but the
    // last 10,000 pages of the first, of whatever size, are freed before the kernel looks for another one
    // (MAX_GATHER_BATCH_COUNT): that is enough for the second.
    let mut first = take(&victim, 64, "1000");
    let mut second = take(&allocator, 48, "-1000");
    // What began it only waits for it.
    first.wait().unwrap();
    assert_eq!(victim.processes(), [0; 0]);
    allocator.kill();
    second.wait().unwrap();
    drop(limit);
    Killed { victim, allocator, _both: both }
}

#[test]
fn who_is_killed_for_memory_counts_and_not_who_wanted_it() {
    let exporter = start("oomkills");
    let Killed { victim, allocator, .. } = &kill_for_memory();
    assert_eq!(victim.value(&exporter, "oom_kills_total"), 1.0);
    assert_eq!(allocator.value(&exporter, "oom_kills_total"), 0.0);
}

/// Reads far more of a disk than the group may have in memory; the pages that were read and are no more there.
#[track_caller]
pub fn reclaim(group: &ControlGroup) -> f64 {
    const BYTES: u64 = 64 << 20;
    let device = LoopDevice::new(BYTES);
    let limit = MemoryLimit::new(group, 16 << 20);
    // Who has it open keeps its pages from being dropped when the reader ends.
    let _open = std::fs::File::open(&device.path).unwrap();
    run(&mut limit.bound(group.command("read-file", 1, device.path.to_str().unwrap())));
    (BYTES / PAGE) as f64 - limit.cached_pages()
}

#[test]
fn reclaim_stalls_who_is_at_its_limit() {
    let exporter = start("directreclaim");
    let group = ControlGroup::new();
    let begin = std::time::Instant::now();
    let gone = reclaim(&group);
    let wall = begin.elapsed().as_secs_f64();
    let value = |name: &str| group.value(&exporter, &format!("cgroup_direct_reclaim_{name}_total"));
    // What the reader had beside the disk's pages is freed as well: some of its own, and of the kernel's.
    let pages = value("pages");
    assert!(gone > 10_000.0 && (gone * 0.95..=gone * 1.05).contains(&pages), "{pages} of {gone} pages");
    // No stall frees more than a few batches of 32 pages.
    assert!(value("stalls") >= 10.0, "{} stalls", value("stalls"));
    let seconds = value("stall_seconds");
    assert!(0.0 < seconds && seconds <= wall, "{seconds} s in {wall} s");

    // The histogram has what all groups together have.
    let page = exporter.page();
    let sum = |name: &str| -> f64 {
        let series = values_of(&page, &format!("ebpf_exporter_{name}"));
        series.iter().filter(|(labels, _)| labels["scope"] == "cgroup").map(|(_, value)| value).sum()
    };
    assert_eq!(sum("direct_reclaim_latency_seconds_count"), sum("cgroup_direct_reclaim_stalls_total"));
    let (all, each) =
        (sum("direct_reclaim_latency_seconds_sum"), sum("cgroup_direct_reclaim_stall_seconds_total"));
    assert!((all - each).abs() < 1e-6, "{all} s are not {each} s");
}

#[test]
fn each_zone_is_compacted_when_it_is_asked_for() {
    const TIMES: usize = 3;
    let zones = std::fs::read_to_string("/proc/zoneinfo").unwrap();
    // Zones without pages are not looked at.
    let zones = zones.lines().filter_map(|line| line.trim().strip_prefix("present ")).map(str::trim);
    let zones = zones.filter(|pages| *pages != "0").count();
    let exporter = start("compaction");
    let family = |what: &str| format!("ebpf_exporter_compaction_latency_seconds_{what}{{by=\"task\"}}");
    let begin = std::time::Instant::now();
    for _ in 0..TIMES {
        std::fs::write("/proc/sys/vm/compact_memory", "1").unwrap();
    }
    let wall = begin.elapsed().as_secs_f64();
    let (compactions, seconds) = (count(&exporter, &family("count")), count(&exporter, &family("sum")));
    // Another task may compact for a large page of its own meanwhile.
    let expected = (TIMES * zones) as f64;
    assert!((expected..expected + 100.0).contains(&compactions), "{compactions} of {expected}");
    let cpus = std::thread::available_parallelism().unwrap().get() as f64;
    assert!(0.0 < seconds && seconds <= wall * cpus, "{seconds} s in {wall} s");
}

#[test]
fn pages_of_a_disk_come_into_the_page_cache_and_go() {
    const BYTES: u64 = 4 << 20;
    let exporter = start("pagecache");
    let device = LoopDevice::new(BYTES);
    let value = |what: &str| {
        count(
            &exporter,
            &format!("ebpf_exporter_page_cache_{what}_pages_total{{device=\"{}\"}}", device.name()),
        )
    };
    let flush = || run(Command::new("blockdev").arg("--flushbufs").arg(&device.path));
    // Who looks at a new device (udev does) is done when nothing changes any more.
    let mut last = -1.0;
    eventually("the new device is left alone", || {
        std::thread::sleep(Duration::from_millis(200));
        std::mem::replace(&mut last, value("added")) == value("added")
    });
    flush();
    // A device of this name that another test had may have been counted before.
    let (added, removed) = (value("added"), value("removed"));
    run(Command::new("dd").arg(format!("if={}", device.path.display())).args(["of=/dev/null", "bs=64k"]));
    assert_eq!(value("added") - added, (BYTES / PAGE) as f64);
    flush();
    assert_eq!(value("removed") - removed, (BYTES / PAGE) as f64);
}
