//! The integration tests: one binary, one module a topic.
//!
//! They run as root against the real kernel. A kernel test that cannot run
//! fails; it does not skip.

mod common;

/// The rules of the house that a grep can hold.
mod tidy;

/// YAML in the styles the reference accepts, and what each bad file says.
mod config;

/// Objects as clang writes them, read without loading them.
mod objects;

/// What the kernel gives: loading, attaching, reading.
mod kernel;

/// The whole exporter as a process: flags, pages, faults, signals.
mod exporter;

/// The shipped objects and configs against known workloads.
mod shipped;
