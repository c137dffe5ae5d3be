//! Everything that libbpf attaches by a section's name.

use libbpf_rs::ProgramMut;

use crate::bpf::explain::errno_of;
use crate::bpf::usdt;

use super::{AttachError, Attached, refused};

/// Kinds of sections whose name can say where to attach.
const KINDS: &[&str] = &[
    "kprobe",
    "kretprobe",
    "uprobe",
    "uretprobe",
    "uprobe.s",
    "uretprobe.s",
    "kprobe.multi",
    "kretprobe.multi",
    "kprobe.session",
    "uprobe.multi",
    "uretprobe.multi",
    "uprobe.session",
    "uprobe.multi.s",
    "uretprobe.multi.s",
    "uprobe.session.s",
    "ksyscall",
    "kretsyscall",
    "usdt",
    "usdt.s",
    "tracepoint",
    "tp",
    "raw_tracepoint",
    "raw_tp",
    "raw_tracepoint.w",
    "raw_tp.w",
    "tp_btf",
    "fentry",
    "fmod_ret",
    "fexit",
    "fentry.s",
    "fmod_ret.s",
    "fexit.s",
    "fsession",
    "fsession.s",
    "freplace",
    "lsm",
    "lsm.s",
    "iter",
    "iter.s",
];

pub(super) fn attach(program: &ProgramMut<'_>, section: &str) -> Result<Attached, AttachError> {
    let kind = section.split('/').next().unwrap_or_default();
    let is_usdt = matches!(kind, "usdt" | "usdt.s");
    match if is_usdt { usdt::attaching(|| program.attach()) } else { program.attach() } {
        Ok(link) if is_usdt => Ok(Attached::Usdt(link)),
        Ok(link) => Ok(Attached::Link(link)),
        Err(error) => {
            let errno = errno_of(&error);
            // libbpf answers alike where a section's name has no place and where the kernel knows none.
            let says_where = KINDS.contains(&kind) && section.len() > kind.len() + 1;
            Err(if errno == libc::EOPNOTSUPP && !says_where { AttachError::NoPlace } else { refused(errno) })
        }
    }
}
