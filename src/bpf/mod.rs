//! The only hands in the kernel: load, attach, read.
//!
//! [`prepare`] turns checked bytes into programs and maps, and committing that makes a [`Loaded`] of it, which
//! takes over from its predecessor if there is one. The supervisor owns it alone;
//! what a scrape may see of it is a [`crate::snapshot::View`] with descriptors of its
//! own. This is the only room that names libbpf, and only its files `raw`, `raw/links`, `raw/pins`,
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
mod given_up;
mod globals;
mod judge;
mod kconfig;
mod keep;
mod kernel_types;
mod left;
mod listen;
mod load;
mod loaded;
mod log;
mod mapping;
mod maps;
mod mark;
mod object;
mod opener;
mod operations;
mod pinning;
mod pins;
mod possible;
mod print;
mod programs;
mod raw;
mod read;
mod ring;
mod seen;
mod select;
mod shared;
mod statistics;
mod sweep;
mod usdt;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;

pub use commit::{Attaching, Prepared, load, prepare};
pub use keep::Keep;
pub use loaded::{Loaded, leave_all, retire_all};
pub use mark::mark_attached;
pub use opener::{MapOpener, Opening};
pub use pins::Pins;
pub use raw::{let_through, share_memory};
pub use read::{MapSource, Method};
pub use shared::SharedMaps;
pub use statistics::{StatisticsGuard, enable_statistics, statistics_enabled};
pub use verify::{Verified, verify};

/// Gives back what only loads ask for: libbpf's copy of the kernel's types, and memory that was freed and is kept for
/// later. A load needs megabytes for a moment, which glibc would keep for good.
pub fn give_memory_back() {
    kernel_types::forget();
    raw::give_memory_back();
}

/// What the command line says about loading.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// BTF of the kernel in a file, for kernels that bring none (`--btf.path`).
    pub btf_path: Option<PathBuf>,
    /// Where maps are pinned that their objects want pinned by their names (`--bpf.pin-root`); libbpf's default when it
    /// is not given.
    pub pin_root: Option<PathBuf>,
    /// Lets libbpf say all it does, through `tracing` at debug level (`--debug`).
    pub debug: bool,
    /// Maps that configs share: those with the same of these can.
    pub shared: Arc<SharedMaps>,
    /// Where programs and maps are kept over restarts (`--bpf.pin-path`).
    pub keep: Option<Arc<Keep>>,
    /// Opens inner maps, where whoever reads may not.
    pub opener: Option<MapOpener>,
}
