//! Functions of the kernel: `kprobe`, `kretprobe`, `ksyscall`, and `kprobe.multi`, which takes a pattern.

use libbpf_rs::ProgramMut;

use crate::bpf::explain::errno_of;
use crate::bpf::raw;

use super::{AttachError, Attached, refused};

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
