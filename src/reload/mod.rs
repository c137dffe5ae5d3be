//! From checked configs to the live generation.
//!
//! The supervisor alone owns what is loaded: objects, links and maps never sit
//! in an `Arc`, so that nothing a scrape holds can keep a program attached. It
//! meets the kernel through the narrow [`Kernel`], so that order and failure
//! can be tested by a recorder without root.

mod supervisor;
mod watch;

pub use supervisor::{Kernel, ReadConfig, Started, Supervisor};
pub use watch::{Followed, Manner, Occasion, WatchMode, WatchTiming, Watcher};
