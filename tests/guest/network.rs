//! The pairs of the network with the workloads that this machine's kernel has had.

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::common::exporter::Exporter;

#[path = "../it/shipped/network.rs"]
#[allow(dead_code)]
mod tests;

#[path = "../it/shipped/workloads.rs"]
mod workloads;

#[track_caller]
fn start(names: &str) -> Exporter {
    let names = format!("--config.names={names}");
    Exporter::start(&["--config.dir=/configs", "--object.dir=/bpf-objects", "--config.strict", &names])
}

/// There is no compiler in a guest: `test.sh` compiled it.
fn compile(_name: &str, _text: &str) -> PathBuf {
    "/bin/network".into()
}

fn count(exporter: &Exporter, series: &str) -> f64 {
    exporter.value(series).unwrap_or_default()
}

#[track_caller]
fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {text}", output.status);
    output
}

/// A page between two readings of a counter that the kernel keeps itself.
struct Held {
    before: f64,
    page: f64,
    after: f64,
}

fn hold(kernel: impl Fn() -> f64, page: impl Fn() -> f64) -> Held {
    Held { before: kernel(), page: page(), after: kernel() }
}

#[track_caller]
fn assert_held(what: &str, first: &Held, second: &Held, slack: f64) {
    let (least, most) = (second.before - first.after, second.after - first.before);
    let counted = second.page - first.page;
    assert!(
        least - slack <= counted && counted <= most + slack,
        "{what}: {counted} not in {least} to {most}"
    );
}
