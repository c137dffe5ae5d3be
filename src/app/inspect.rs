//! `bpftally inspect`: one file in, one page out.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::cli::{InspectFormat, InspectOptions, Report};
use crate::elf::ObjectInfo;
use crate::problem::{Place, Problem};

/// The object itself is wrong.
const WRONG_OBJECT: u8 = 1;
/// There is no such file.
const WRONG_USAGE: u8 = 2;

/// Says what an object holds.
pub fn inspect(options: &InspectOptions) -> ExitCode {
    let bytes = match std::fs::read(&options.object) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("the object cannot be read: {error}");
            return complain(
                &Problem::error("object-unreadable", place(options), message),
                options,
                WRONG_USAGE,
            );
        }
    };
    let object = match ObjectInfo::parse(&bytes) {
        Ok(object) => object,
        Err(error) => return complain(&error.problem(place(options)), options, WRONG_OBJECT),
    };
    let report = Report::new(&options.object.display().to_string(), &object);
    let text = match options.format {
        InspectFormat::Text => Ok(report.to_text(options.relocations)),
        InspectFormat::Json => report.to_json().map_err(io::Error::from),
    };
    // Whoever closed the pipe wants to see no more of it.
    match text.and_then(|text| io::stdout().write_all(text.as_bytes())) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = writeln!(io::stderr(), "error: what was found cannot be written: {error}");
            ExitCode::FAILURE
        }
        _ if report.usable => ExitCode::SUCCESS,
        _ => ExitCode::from(WRONG_OBJECT),
    }
}

fn place(options: &InspectOptions) -> Place {
    Place { file: Some(options.object.clone()), ..Place::default() }
}

/// The problem where the report would stand for JSON's readers, and for people beside it.
fn complain(problem: &Problem, options: &InspectOptions, code: u8) -> ExitCode {
    let _ = match options.format {
        InspectFormat::Text => writeln!(io::stderr(), "{problem:#}"),
        InspectFormat::Json => {
            let object = options.object.display().to_string();
            let report = serde_json::json!({
                "version": 1, "object": object, "usable": false, "problems": [problem.to_json()],
            });
            writeln!(io::stdout(), "{report:#}")
        }
    };
    ExitCode::from(code)
}
