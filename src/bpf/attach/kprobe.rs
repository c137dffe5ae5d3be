//! Functions of the kernel: `kprobe` and `kretprobe`, of which a pattern means one probe for each function that matches,
//! `ksyscall`, and `kprobe.multi`, whose pattern the kernel takes as a whole.

use libbpf_rs::ProgramMut;

use crate::bpf::explain::errno_of;
use crate::bpf::raw;
use crate::host::{Host, MOST_FUNCTIONS, pattern_of_functions};

use super::{AttachError, Attached, Missing, Target, refused};

/// The functions that are meant. For programs of many at once a pattern is one place.
pub(super) fn targets(function: &str, section: &str, host: &Host) -> Vec<Target> {
    let Some(pattern) = pattern_of_functions(section, function) else {
        return vec![Target::Kprobe(function.to_owned())];
    };
    match host.select_functions(&pattern) {
        Ok(found) if (1..=MOST_FUNCTIONS).contains(&found.len()) => {
            found.into_iter().map(Target::Kprobe).collect()
        }
        outcome => {
            let count = outcome.ok().map(|found| found.len());
            vec![Target::Missing(Missing::Functions { pattern: function.to_owned(), count })]
        }
    }
}

/// Whether a program has a probe of its own for each function.
pub(super) fn is_of_one(section: &str) -> bool {
    matches!(section.split('/').next(), Some("kprobe" | "kretprobe"))
}

pub(super) fn attach(
    program: &ProgramMut<'_>,
    function: &str,
    section: &str,
) -> Result<Attached, AttachError> {
    let kind = section.split('/').next().unwrap_or_default();
    let is_return = kind.starts_with("kret");
    if kind.contains(".multi") || kind.contains(".session") {
        let link = raw::attach_kprobe_multi(program, function, is_return, kind.contains(".session"));
        return link.map(Attached::Link).map_err(|error| super::refused_by_kernel(&error));
    }
    let link = if kind.ends_with("syscall") {
        program.attach_ksyscall(is_return, function)
    } else {
        program.attach_kprobe(is_return, function)
    };
    link.map(Attached::Link).map_err(|error| refused(errno_of(&error)))
}
