//! Swap: what goes there, and who waits for it to come back.

use std::process::Command;

use super::block::LoopDevice;
use super::groups::{ControlGroup, MemoryLimit, Usage};
use super::{Held, assert_held, count, hold, in_page, run, start};
use crate::common::exporter::Exporter;

/// A device of our own that the kernel may swap to.
struct SwapDevice(LoopDevice);

impl SwapDevice {
    #[track_caller]
    fn new() -> Self {
        let device = LoopDevice::new(32 << 20);
        run(Command::new("mkswap").arg(&device.path));
        run(Command::new("swapon").arg(&device.path));
        Self(device)
    }
}

impl Drop for SwapDevice {
    fn drop(&mut self) {
        let _ = Command::new("swapoff").arg(&self.0.path).status();
    }
}

/// What the kernel counted, machine-wide.
#[track_caller]
fn kernel(name: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/vmstat").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("/proc/vmstat has no {name}")).parse().unwrap()
}

/// Pages that a process fills and then reads, in a group that has memory for half of them.
const PAGES: u32 = 4000;

/// The group, and what the kernel counted of the process.
#[track_caller]
fn swap() -> (ControlGroup, Usage) {
    // Where pages are written more slowly than a process fills them, the kernel may have no other way than to kill it.
    for _ in 0..20 {
        let group = ControlGroup::new();
        let limit = MemoryLimit::with_swap(&group, u64::from(PAGES) * 4096 / 2);
        let output = limit.bound(group.command("swap", PAGES, "")).output().unwrap();
        if output.status.success() {
            return (group, Usage::of(&output.stdout));
        }
    }
    panic!("each process that swapped was killed");
}

/// Something for each metric that every kernel can have.
pub fn exercise() {
    let _device = SwapDevice::new();
    swap();
}

/// Whether this kernel lets its function be followed in one of two ways.
fn sees_swap_ins(exporter: &Exporter) -> bool {
    let attached = |program: &str| {
        let labels = format!("config=\"swap\",program=\"{program}\",verdict=\"attached\"");
        count(exporter, &format!("ebpf_exporter_program_verdict{{{labels}}}")) == 1.0
    };
    attached("swap_in_exit") || attached("swap_in_return")
}

#[test]
fn pages_that_are_swapped_out_and_in_are_those_of_the_kernel() {
    let exporter = start("swap");
    let _device = SwapDevice::new();
    let swapped_out = || -> Held<f64> {
        let page = || {
            let page = exporter.page();
            let by = |by: &str| in_page(&page, &format!("ebpf_exporter_swap_out_pages_total{{by=\"{by}\"}}"));
            by("task") + by("daemon")
        };
        hold(|| kernel("pswpout"), page)
    };
    let (before, faults) = (swapped_out(), kernel("pgmajfault"));
    let (group, usage) = swap();
    let (after, faults) = (swapped_out(), kernel("pgmajfault") - faults);
    // At the least what there was no memory for.
    assert!(after.page - before.page >= f64::from(PAGES) / 3.0, "{} of {PAGES}", after.page - before.page);
    assert_held("pages swapped out", &before, &after, 0.0);

    let waits = group.value(&exporter, "swap_in_latency_seconds_count");
    if !sees_swap_ins(&exporter) {
        assert_eq!(waits, 0.0);
        return;
    }
    // Read-ahead brings some pages at a time, of which the first one is waited for. Faults of others, of files, are in
    // the kernel's number as well.
    assert!(waits >= f64::from(PAGES) / 3.0 / 64.0, "{waits} waits for {PAGES} pages");
    assert!(waits <= faults, "{waits} waits, {faults} faults");
    let seconds = group.value(&exporter, "swap_in_latency_seconds_sum");
    assert!(0.0 < seconds && seconds <= usage.get("wall"), "{seconds} s in {} s", usage.get("wall"));
}
