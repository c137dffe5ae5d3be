//! Hits of the page cache, against files of which it is known what is in memory.

use std::fs::File;
use std::os::unix::fs::FileExt;

use rustix::fs::{Advice, fadvise};

use super::block::LoopDevice;
use super::start;
use super::workloads::check_events;
use crate::common::exporter::Exporter;

const PAGE: u64 = 4096;

/// Hits and misses of a device's.
#[track_caller]
fn reads(exporter: &Exporter, device: &LoopDevice) -> (f64, f64) {
    let of = |what: &str| -> f64 {
        let series = exporter.values(&format!("ebpf_exporter_page_cache_read_{what}_total"));
        series
            .iter()
            .filter(|(labels, _)| labels["device"] == device.name())
            .map(|(labels, value)| {
                assert_eq!(labels["filesystem"], "block_device");
                value
            })
            .sum()
    };
    (of("hits"), of("misses"))
}

/// A file of which nothing is in memory, and nothing is read ahead.
fn cold(device: &LoopDevice) -> File {
    let file = File::open(&device.path).unwrap();
    fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    fadvise(&file, 0, None, Advice::Random).unwrap();
    file
}

/// Something for each metric.
pub fn exercise() {
    let device = LoopDevice::new(16 * PAGE);
    cold(&device).read_exact_at(&mut [0; 16], 0).unwrap();
}

#[test]
fn pages_that_are_read_are_hits_once_they_are_in_memory() {
    const PAGES: u64 = 300;
    let exporter = start("cachehits");
    let device = LoopDevice::new(PAGES * PAGE);
    let file = cold(&device);
    let read = |offset: u64, bytes: usize| file.read_exact_at(&mut vec![0; bytes], offset).unwrap();
    let (hits, misses) = reads(&exporter, &device);
    #[track_caller]
    fn check(
        exporter: &Exporter,
        device: &LoopDevice,
        before: (f64, f64),
        expected: (u64, u64),
    ) -> (f64, f64) {
        let now = reads(exporter, device);
        let all = (now.0 + now.1) - (before.0 + before.1);
        check_events("reads", "cache_", all, (expected.0 + expected.1) as f64);
        check_events("misses", "cache_", now.1 - before.1, expected.1 as f64);
        now
    }

    // Each second page, a piece of it.
    (0..PAGES / 2).for_each(|page| read(page * 2 * PAGE + 100, 200));
    let now = check(&exporter, &device, (hits, misses), (0, PAGES / 2));
    // Again, and with the page after it, which is not there yet.
    (0..PAGES / 2).for_each(|page| read(page * 2 * PAGE, PAGE as usize));
    let now = check(&exporter, &device, now, (PAGES / 2, 0));
    (0..PAGES / 2).for_each(|page| read(page * 2 * PAGE + PAGE - 1, 2));
    let now = check(&exporter, &device, now, (PAGES / 2, PAGES / 2));
    // All of them, at once.
    read(0, (PAGES * PAGE) as usize);
    let now = check(&exporter, &device, now, (PAGES, 0));
    // Past the page cache nothing is looked for in it.
    device.read(10);
    check(&exporter, &device, now, (0, 0));
}
