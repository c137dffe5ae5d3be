//! Programs that the kernel leaves out.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bpftally::bpf::Method;
use libbpf_rs::MapType;

use crate::Refused;
use crate::common::exporter::Exporter;
use crate::common::kernel::{create_map, kernel_since, rows, source};
use crate::hooks::{self, Hook};
use crate::maps::on_cpu;

/// How often a map is read while calls are made on the same CPU.
const READS: u32 = 20;

/// Hooks that see `fallocate`.
const HOOKS: &[&str] =
    &["kprobe", "kretprobe", "ksyscall", "kprobe.multi", "tracepoint", "raw_tp", "tp_btf", "fentry", "fexit"];

/// Whether the kernel leaves programs of this kind out on a CPU where a map is read.
fn is_left_out(kind: &str) -> bool {
    match kind {
        "kprobe" | "kretprobe" | "ksyscall" | "kprobe.multi" => true,
        // Later kernels run those of system calls as they run programs that sleep.
        "tracepoint" => !kernel_since(7, 0),
        _ => false,
    }
}

/// Whether the kernel takes a CPU away from who is at work in it, which it says since it can be chosen at the boot.
/// Debian's kernels do since 6.18.
fn is_preemptible() -> bool {
    let chosen = std::fs::read_to_string("/sys/kernel/debug/sched/preempt").unwrap_or_default();
    ["(full)", "(lazy)"].iter().any(|mode| chosen.contains(mode))
}

/// A thread makes calls while another one reads a map on the same CPU; how many calls.
fn call_beside_reads() -> u64 {
    let refused = Refused::new();
    // Much room and no entries: the kernel looks through all of it in one go.
    let map = create_map(MapType::Hash, 8, 8, 1 << 20, libbpf_sys::BPF_F_NO_PREALLOC);
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            on_cpu(0);
            while !stop.load(Ordering::Relaxed) {
                refused.call(0, 1);
                done.fetch_add(1, Ordering::SeqCst);
            }
        });
        scope.spawn(|| {
            on_cpu(0);
            let source = source(&map, Method::Batch);
            (0..READS).for_each(|_| assert!(rows(&source).is_empty()));
            stop.store(true, Ordering::Relaxed);
        });
    });
    done.load(Ordering::SeqCst)
}

/// While a map is read, the kernel runs no program of a kprobe or a tracepoint on that CPU, lest it uses the same map.
/// Where the reader can lose the CPU meanwhile, the calls of others are missed. The exporter tells what the kernel does.
#[test]
fn what_happens_beside_a_reader_is_counted_or_told() {
    let chosen: Vec<&Hook> = hooks::all().iter().filter(|hook| HOOKS.contains(&hook.kind)).collect();
    let flags = hooks::flags(&chosen);
    let exporter = Exporter::launch(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    let calls = call_beside_reads();
    let page = exporter.page();
    let (is_attached, counts) = (hooks::attached(&page), hooks::counts(&page));
    let mut wrong = Vec::new();
    for hook in chosen.iter().filter(|hook| is_attached(hook)) {
        let is_left_out = is_left_out(hook.kind);
        let number = hooks::all().iter().position(|other| other.program == hook.program).unwrap();
        let counted = counts.get(&number).copied().unwrap_or_default();
        let labels = format!("{{config=\"{0}\",program=\"{0}\"}}", hook.program);
        let missed = exporter.value(&format!("ebpf_exporter_program_missed_total{labels}"));
        println!("{}: {calls} calls, {counted} counted, {missed:?} missed", hook.kind);
        // Linux tells it since 5.12, of those that it leaves out since 6.7.
        let is_told = missed.is_some() == kernel_since(5, 12);
        let missed = missed.unwrap_or_default() as u64;
        let is_so = if is_left_out {
            let is_all = !kernel_since(6, 7) || counted + missed == calls;
            is_all && (counted < calls) == is_preemptible()
        } else {
            // Those of all system calls can be interrupted at another one than this.
            counted <= calls && counted + missed >= calls
        };
        let is_so = is_so && is_told;
        if !is_so {
            wrong.push(format!("{}: {counted} of {calls}, {missed} missed", hook.kind));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), exporter.log());
}
