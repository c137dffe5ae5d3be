//! The shipped configs and objects against workloads whose numbers are known.
//!
//! Other processes run meanwhile. So a workload is told apart by something that
//! nobody else does (an exit code, an errno, a device, a control group), or the
//! page is held between two readings of the kernel's own counters.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::common::dns;
use crate::common::exporter::Exporter;
use crate::common::promtool;

/// Block devices.
mod block;

/// The page cache: what reads find there.
mod cache;

/// System calls.
mod calls;

/// ext4 below the VFS.
mod ext4;

/// Block devices, files and what is on its way between them.
mod files;

/// Control groups of our own.
mod groups;

/// Packets through network interfaces.
mod interfaces;

/// Interrupts, and what is put off in them.
mod interrupts;

/// Memory: faults, reclaim, the page cache, and what happens when there is none left.
mod memory;

/// A file system of our own.
mod mounted;

/// What goes over the network and between sockets.
mod network;

/// BPF itself, whoever loaded it.
mod objects;

/// Starts and ends of processes, and what is sent to them.
mod processes;

/// Who has a CPU, who waits for one, and who sleeps.
mod scheduler;

/// What they share.
mod support;

/// Swap.
mod swap;

/// Packets between two interfaces of our own.
mod veth;

/// Workloads that are told apart from all others.
mod workloads;

use block::{BLOCK, LoopDevice};
use support::{
    Children, Held, assert_held, count, eventually, hold, in_page, run, shell, spinners, workload,
};

/// The share of events that the kernel may leave out, by what it counts itself: Linux 6.18 shows a tracepoint's
/// programs up to one in thirty less of softirqs, interrupts, switches and wake-ups than there are, with nothing
/// else attached, and none of them among the programs' `recursion_misses`. The kernels in virtual machines show all.
const LEFT_OUT: f64 = 0.1;

/// Every pair that is shipped, by the folder of configs.
fn pairs() -> Vec<String> {
    let configs = std::fs::read_dir(folder("configs")).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> =
        configs.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    assert!(names.len() >= 44, "{names:?}");
    names
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The exporter with some of the shipped configs.
#[track_caller]
fn start(names: &str) -> Exporter {
    start_with(names, &[])
}

/// The same with more flags.
#[track_caller]
fn start_with(names: &str, flags: &[&str]) -> Exporter {
    let (configs, objects) = (folder("configs"), folder("bpf-objects"));
    let mut arguments = vec![
        "--config.dir",
        configs.to_str().unwrap(),
        "--object.dir",
        objects.to_str().unwrap(),
        "--config.names",
        names,
    ];
    arguments.extend(flags);
    Exporter::start(&arguments)
}

/// Makes a file system.
#[track_caller]
fn make_ext4(device: &Path) {
    run(Command::new("mkfs.ext4").args(["-q", "-E", "nodiscard,lazy_itable_init=0"]).arg(device));
}

/// What shell and standard library cannot do, in C.
const WORKLOAD: &str = include_str!("shipped/workload.c");

static WORKLOAD_PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| compile("shipped-workload", WORKLOAD));

/// Compiles C for the host.
#[track_caller]
fn compile(name: &str, text: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let source = program.with_extension("c");
    std::fs::write(&source, text).unwrap();
    let include = format!("-I{}", folder("bpf-objects/include").display());
    run(Command::new("gcc").args(["-O1", "-Wall", "-pthread", &include, "-o"]).arg(&program).arg(&source));
    program
}

/// The slots of `bits.bpf.h`, compiled for the host and held against a search for the right one.
const SLOTS: &str = r#"
#include <linux/types.h>
#include "bits.bpf.h"

static __u64 least_power_not_below(__u64 value)
{
    __u64 slot = 0;

    while (slot < 64 && (1ULL << slot) < value)
        slot++;
    return slot;
}

static int wrong(__u64 value)
{
    __u64 slot = least_power_not_below(value);

    return exp2_slot(value) != slot || exp2zero_slot(value) != (value ? slot + 1 : 0);
}

int main(void)
{
    for (__u64 value = 0; value < 1 << 20; value++)
        if (wrong(value))
            return 1;
    for (int bit = 20; bit < 64; bit++)
        for (__u64 value = (1ULL << bit) - 2; value != (1ULL << bit) + 3; value++)
            if (wrong(value))
                return 2;
    return wrong(~0ULL) ? 3 : 0;
}
"#;

/// A disk says that it is done by an interrupt.
fn cause_interrupts() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = folder.path().join("file");
    for round in 0..50 {
        std::fs::write(&file, vec![round; 4096]).unwrap();
        std::fs::File::open(&file).unwrap().sync_all().unwrap();
    }
}

#[test]
fn slots_are_those_whose_bound_holds_the_value() {
    run(&mut Command::new(compile("shipped-slots", SLOTS)));
}

#[test]
fn every_pair_is_whole_and_serves_each_of_its_metrics() {
    let pairs = pairs();
    let exporter = start(&pairs.join(","));
    let device = LoopDevice::too_large(1 << 20);
    device.read(10);
    device.overfill();
    let group = groups::ControlGroup::new();
    memory::reclaim(&group);
    let _killed = memory::kill_for_memory();
    network::exercise();
    files::exercise();
    cache::exercise();
    ext4::exercise();
    swap::exercise();
    let server = dns::Server::at("127.53.53.53:53".parse().unwrap());
    dns::Client::new(server.address).ask(&dns::query(1, "www.example.com", dns::A));
    run(&mut shell(
        "sh -c 'kill -TERM $$' & wait; ls /nowhere 2>/dev/null; cat < /nowhere 2>/dev/null; true",
    ));
    promtool::assert_accepts(&exporter.page());
    let broken = |labels: &BTreeMap<String, String>| labels["verdict"] == "broken";
    let verdicts = exporter.values("ebpf_exporter_program_verdict");
    let broken: Vec<_> = verdicts.iter().filter(|(labels, value)| *value == 1.0 && broken(labels)).collect();
    assert!(broken.is_empty(), "{broken:?}");
    for name in &pairs {
        assert!(folder("bpf-objects").join(format!("{name}.bpf.c")).exists());
        assert_eq!(count(&exporter, &format!("ebpf_exporter_enabled_configs{{name=\"{name}\"}}")), 1.0);
        let text = std::fs::read_to_string(folder("configs").join(format!("{name}.yaml"))).unwrap();
        let config: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
        for (kind, metrics) in config["metrics"].as_mapping().unwrap() {
            for metric in metrics.as_sequence().unwrap() {
                let family = format!("ebpf_exporter_{}", metric["name"].as_str().unwrap());
                // Off as shipped.
                if name == "dns" && family.contains("_by_name_") {
                    continue;
                }
                let suffix = if kind == "histograms" { "_count" } else { "" };
                if ["cfsthrottling", "listenqueue"].contains(&name.as_str()) || family.contains("_swap_in_") {
                    // They need functions of the kernel, which not every machine lets programs see.
                    continue;
                }
                let series = exporter.values(&format!("{family}{suffix}"));
                assert!(!series.is_empty(), "{name}: {family} has no series");
            }
        }
    }
}
