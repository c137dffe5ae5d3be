//! `bpftally inspect`: what an object says of itself, as text or as JSON.
//!
//! [`Report`] gathers it once; both forms are made of it, so that neither knows what the
//! other does not.

mod initial;
mod report;
mod text;

use std::path::PathBuf;

use clap::Args;

pub use report::Report;

/// The flags of `inspect`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct InspectOptions {
    /// A compiled object (*.bpf.o).
    #[arg(value_name = "OBJECT")]
    pub object: PathBuf,

    /// How to say it.
    #[arg(long, value_name = "FORMAT", default_value = "text", value_enum)]
    pub format: InspectFormat,

    /// List each CO-RE relocation, not only how many there are (JSON always lists them).
    #[arg(long)]
    pub relocations: bool,
}

/// How `inspect` says what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum InspectFormat {
    /// For people, at 80 columns.
    Text,
    /// One JSON object.
    Json,
}
