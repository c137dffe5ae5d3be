//! What several topics share.
#![allow(dead_code, reason = "each topic uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

pub mod dns;
pub mod exporter;
pub mod folder;
pub mod golden;
pub mod kernel;
pub mod objects;
pub mod opened;
pub mod promtool;
