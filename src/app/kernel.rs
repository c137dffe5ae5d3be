//! The real kernel behind the supervisor's trait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::bpf::{self, Loaded};
use crate::cli::Options;
use crate::host::Host;
use crate::problem::Problem;
use crate::reload::{Kernel, Started};
use crate::spec::LoadSpec;

/// Loads through libbpf.
pub struct BpfKernel {
    options: bpf::Options,
    host: Arc<Host>,
    stop: Arc<AtomicBool>,
}

impl BpfKernel {
    /// The kernel as the command line wants it used; nothing more is loaded once `stop` is true.
    pub fn new(options: &Options, host: Arc<Host>, stop: Arc<AtomicBool>) -> Self {
        let options = bpf::Options { btf_path: options.btf.clone(), debug: options.debug };
        Self { options, host, stop }
    }
}

impl Kernel for BpfKernel {
    type Loaded = Loaded;

    fn load(&self, spec: &LoadSpec) -> Result<Started<Loaded>, Vec<Problem>> {
        let loaded = bpf::load(spec, &self.host, &self.options)?;
        let (view, problems) = (loaded.view(), loaded.problems().to_vec());
        Ok(Started { loaded, view, problems })
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn retire(&self, loaded: Vec<Loaded>) {
        bpf::retire_all(loaded);
    }
}
