//! `bpftally init`: an object in, a config to start with out.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::cli::InitOptions;
use crate::config;
use crate::elf::ObjectInfo;
use crate::problem::{Place, Problem};

/// The object itself is wrong.
const WRONG_OBJECT: u8 = 1;
/// There is no such file.
const WRONG_USAGE: u8 = 2;

/// Writes a config for an object.
pub fn init(options: &InitOptions) -> ExitCode {
    let place = Place { file: Some(options.object.clone()), ..Place::default() };
    let complain = |problem: &Problem, code| {
        let _ = writeln!(io::stderr(), "{problem:#}");
        ExitCode::from(code)
    };
    let bytes = match std::fs::read(&options.object) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("the object cannot be read: {error}");
            return complain(&Problem::error("object-unreadable", place, message), WRONG_USAGE);
        }
    };
    let object = match ObjectInfo::parse(&bytes) {
        Ok(object) => object,
        Err(error) => return complain(&error.problem(place), WRONG_OBJECT),
    };
    let name = options.object.file_name().unwrap_or_default().to_string_lossy();
    // Whoever closed the pipe wants to see no more of it.
    match io::stdout().write_all(config::draft(&object, &name).as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = writeln!(io::stderr(), "error: the config cannot be written: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}
