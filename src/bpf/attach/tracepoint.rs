//! Tracepoints by the name that the config has for them, in tracefs or raw.

use std::path::Path;

use libbpf_rs::{ProgramMut, TracepointCategory};

use crate::bpf::explain::errno_of;

use super::{AttachError, Attached, refused};

/// Where libbpf looks for tracepoints; the first one that is there.
const TRACEFS: [&str; 2] = ["/sys/kernel/debug/tracing", "/sys/kernel/tracing"];

/// tracefs, when it is mounted.
pub(in crate::bpf) fn tracefs() -> Option<&'static str> {
    TRACEFS.into_iter().find(|path| Path::new(path).join("events").exists())
}

pub(super) fn attach(program: &ProgramMut<'_>, name: &str) -> Result<Attached, AttachError> {
    let link = match name.split_once('/') {
        Some((category, name)) => {
            program.attach_tracepoint(TracepointCategory::Custom(category.to_owned()), name)
        }
        None => program.attach_raw_tracepoint(name),
    };
    link.map(Attached::Link).map_err(|error| refused(errno_of(&error)))
}
