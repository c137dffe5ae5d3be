//! How long `bpftally check` takes for a folder of 1,000 configs with their objects.
//!
//! `cargo bench --bench check`. The pairs are copies of the shipped ones, each with a namespace of its own.

// A benchmark may stop where a program must not.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PAIRS: usize = 1000;
const NAMES: [&str; 6] = ["biolatency", "processes", "runqlat", "runqlen", "softirqs", "syscalls"];

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    for (number, name) in (0..PAIRS).zip(NAMES.iter().cycle()) {
        let text = std::fs::read_to_string(root.join(format!("configs/{name}.yaml"))).unwrap();
        let pair = folder.path().join(format!("{name}_{number}"));
        std::fs::write(pair.with_extension("yaml"), format!("namespace: n{number}\n{text}")).unwrap();
        std::fs::copy(root.join(format!("bpf-objects/{name}.bpf.o")), pair.with_extension("bpf.o")).unwrap();
    }
    let times: Vec<Duration> = (0..5).map(|_| check(folder.path())).collect();
    let best = times.iter().min().unwrap();
    println!("check of {PAIRS} pairs: {best:.0?} at best, {times:.0?}");
}

fn check(folder: &Path) -> Duration {
    let began = Instant::now();
    let status = Command::new(env!("CARGO_BIN_EXE_bpftally"))
        .args(["check", "--strict"])
        .arg(folder)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    let took = began.elapsed();
    assert!(status.success(), "the shipped configs are clean");
    took
}
