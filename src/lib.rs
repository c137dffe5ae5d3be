//! bpftally turns eBPF maps into Prometheus metrics.
//!
//! The rooms stand in reading order: a room uses only rooms above it.
//! `docs/architecture.md` draws the house; `tests/it/tidy.rs` holds its rules.

pub mod problem;

pub mod btf;

pub mod elf;

pub mod host;

pub mod decode;

pub mod series;

pub mod snapshot;

pub mod spec;

pub mod config;

pub mod bpf;

pub mod events;

pub mod page;

pub mod spans;

pub mod scrape;

pub mod reload;

pub mod server;

pub mod cli;

pub mod app;
