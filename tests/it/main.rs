//! The integration tests: one binary, one module a topic.
//!
//! They run as root against the real kernel. A kernel test that cannot run
//! fails; it does not skip.

// Clippy's leave for tests does not reach the helpers beside them.
#![allow(clippy::unwrap_used)]

mod common;

/// The rules of the house that a grep can hold.
mod tidy;

/// `bpftally check`: what it tells, how, and with which exit code.
mod check;

/// YAML in the styles the reference accepts, and what each bad file says.
mod config;

/// The examples of the documentation: all of them are right, and work.
mod docs;

/// The walk-through for newcomers, step by step.
mod examples;

/// The machine's names: real cgroups, interfaces, devices, symbols.
mod host;

/// Objects as clang writes them, read without loading them.
mod objects;

/// Objects of every shape, and what `inspect`, `init` and `check` say of them.
mod corpus;

/// What `inspect` says of objects of every shape.
mod inspect;

/// Configs that `init` writes, and what they serve.
mod init;

/// What the kernel gives: loading, attaching, reading.
mod kernel;

/// HTTP over real sockets: what slow and hostile clients can do, and what they cannot.
mod server;

/// Following files across mounts, limits and lost capabilities.
mod watch;

/// The process around it: descriptors, capabilities, signals.
mod process;

/// The whole exporter as a process: flags, pages, faults, signals.
mod exporter;

/// Maps and links that are files, so that they outlive who made them.
mod pins;

/// Spans, from a program to a collector.
mod spans;

/// The shipped objects and configs against known workloads.
mod shipped;

/// The shipped DNS observer: every message, every loss, hostile packets.
mod dns;

/// The shipped pair for TCP connections.
mod tcpconnect;

/// Hot reload: files change under a running exporter, and nothing is lost.
mod reload;
