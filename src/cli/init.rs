//! The words after `init`.

use std::path::PathBuf;

use clap::Args;

/// What `init` works on.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct InitOptions {
    /// A compiled object (*.bpf.o).
    #[arg(value_name = "OBJECT")]
    pub object: PathBuf,
}
