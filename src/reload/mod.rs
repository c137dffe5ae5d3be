//! From what the files say to the live generation, again and again.
//!
//! The supervisor alone owns what is loaded: objects, links and maps never sit
//! in an `Arc`, so that nothing a scrape holds can keep a program attached. It
//! meets the kernel through the narrow [`Kernel`], so that order and failure
//! can be tested by a recorder without root. What has to be done is decided by
//! `difference`, which is pure; nothing is stopped before its successor is ready,
//! and whatever fails leaves the last good one at work.

mod difference;
mod found;
mod kernel;
mod report;
mod samples;
mod serve;
mod supervisor;
mod unit;
mod watch;

pub use found::{Folder, Found, Provenance, ReadConfig};
pub use kernel::{Kernel, Moved, Started};
pub use report::{Change, Report};
pub use serve::{Observer, Order, Reloader, serve};
pub use supervisor::{Moment, Supervisor};
pub use watch::{Followed, Manner, Occasion, WatchMode, WatchTiming, Watcher};
