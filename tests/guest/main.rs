//! What only other kernels than this machine's can show: these tests run as the only work of a
//! virtual machine, one after another (`make test-kernels`). So counts are compared exactly.

// Clippy's leave for tests does not reach the helpers beside them.
#![allow(clippy::unwrap_used)]

#[path = "../it/common/mod.rs"]
mod common;

/// Every kind of map by every method, the one that takes the place of a missing one included.
#[path = "../it/kernel/read.rs"]
mod read;

/// Programs on a function of the kernel: what they count, and that nothing of them stays.
mod probes;

/// Functions that the config names.
mod places;

/// Programs that stay at work while the exporter is away.
mod kept;

/// Programs that the kernel leaves out.
mod missed;

/// Objects that are replaced while their programs count.
mod reload;

/// Values through the page from kinds of maps that not every kernel reads in batches.
mod maps;

/// Kernels and machines that lack something.
mod lacking;

/// Each kind of hook.
mod hooks;

/// What goes into the tables of the documentation.
mod matrix;

/// What shipped configs do better where functions can be followed.
mod functions;

/// The shipped configs with known workloads.
mod shipped;

/// CPUs that come online later, and go.
mod cpus;

/// How maps are read.
mod reading;

/// Who may attach what.
mod capabilities;

/// Other machines.
mod variants;

/// What stands still because its quota is used up.
mod throttling;

/// Those of block devices and files.
mod files;

/// Events, variables, spans, and groups that are meant.
mod events;

/// The DNS observer.
mod dns;

use std::fs::File;

use rustix::fs::{FallocateFlags, fallocate};

use common::exporter::Exporter;

/// Entries of a map that is large for an emulated processor.
const LARGE: u32 = 20_000;

/// The exporter with some of the configs in this folder.
#[track_caller]
fn start(configs: &str, flags: &[&str]) -> Exporter {
    let names = format!("--config.names={configs}");
    Exporter::start(&[&["--config.dir=/guest", &names], flags].concat())
}

/// The release of this kernel, as `5.10.0-46-cloud-amd64`.
fn release() -> String {
    rustix::system::uname().release().to_str().unwrap().to_owned()
}

/// Calls of `vfs_fallocate` that are refused, because the file is only for reading: any numbers
/// arrive there, and nothing comes of them.
struct Refused {
    file: File,
}

impl Refused {
    fn new() -> Self {
        std::fs::write("/tmp/refused", "").unwrap();
        Self { file: File::open("/tmp/refused").unwrap() }
    }

    #[track_caller]
    fn call(&self, offset: u64, length: u64) {
        let refused = fallocate(&self.file, FallocateFlags::empty(), offset, length);
        assert_eq!(refused, Err(rustix::io::Errno::BADF));
    }
}
