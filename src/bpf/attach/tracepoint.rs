//! Tracepoints by the name that the config has for them, in tracefs or raw.

use libbpf_rs::{ProgramMut, TracepointCategory};

use crate::bpf::explain::errno_of;

use super::{AttachError, Attached, refused};

pub(super) fn attach(program: &ProgramMut<'_>, name: &str) -> Result<Attached, AttachError> {
    let link = match name.split_once('/') {
        Some((category, name)) => {
            program.attach_tracepoint(TracepointCategory::Custom(category.to_owned()), name)
        }
        None => program.attach_raw_tracepoint(name),
    };
    link.map(Attached::Link).map_err(|error| refused(errno_of(&error)))
}
