//! The only hands in the kernel: load, attach, read.
//!
//! [`prepare`] turns checked bytes into programs and maps, and committing that makes a [`Loaded`] of it, which
//! takes over from its predecessor if there is one. The supervisor owns it alone;
//! what a scrape may see of it is a [`crate::snapshot::View`] with descriptors of its
//! own. This is the only room that names libbpf, and only its files `raw`, `raw/links`,
//! `mapping`, `print`, `mark` and `usdt` hold `unsafe`.

mod attach;
mod buffer;
mod carry;
mod cgroups;
mod commit;
mod ending;
mod exchange;
mod explain;
mod follow;
mod globals;
mod judge;
mod kconfig;
mod listen;
mod load;
mod loaded;
mod log;
mod mapping;
mod maps;
mod mark;
mod opener;
mod operations;
mod possible;
mod print;
mod programs;
mod raw;
mod read;
mod ring;
mod select;
mod statistics;
mod usdt;
mod verify;

use std::path::PathBuf;

pub use commit::{Attaching, Prepared, load, prepare};
pub use loaded::{Loaded, retire_all};
pub use mark::mark_attached;
pub use opener::{MapOpener, Opening};
pub use raw::{give_memory_back, share_memory};
pub use read::{MapSource, Method};
pub use statistics::{StatisticsGuard, enable_statistics, statistics_enabled};
pub use verify::{Verified, verify};

/// What the command line says about loading.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// BTF of the kernel in a file, for kernels that bring none (`--btf.path`).
    pub btf_path: Option<PathBuf>,
    /// Lets libbpf say all it does, through `tracing` at debug level (`--debug`).
    pub debug: bool,
    /// Opens inner maps, where whoever reads may not.
    pub opener: Option<MapOpener>,
}
