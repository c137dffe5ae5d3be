//! `bpftally schema`.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use anyhow::Context;

use crate::config;

/// Prints the JSON Schema of configs.
///
/// # Errors
/// When it cannot be written.
pub fn print_schema() -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match out.write_all(config::schema().as_bytes()).and_then(|()| out.flush()) {
        // Whoever closed the pipe wants to see no more of it.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        written => written.context("the schema cannot be printed")?,
    }
    Ok(ExitCode::SUCCESS)
}
