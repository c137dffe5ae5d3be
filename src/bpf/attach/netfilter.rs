//! Hooks of netfilter, in the exporter's own network namespace (since Linux 6.4).

use libbpf_rs::{NetfilterOpts, ProgramMut};

use crate::bpf::explain::errno_of;
use crate::spec::Netfilter;

use super::{AttachError, Attached, refused};

pub(super) fn attach(program: &ProgramMut<'_>, at: &Netfilter) -> Result<Attached, AttachError> {
    let options = NetfilterOpts {
        protocol_family: at.family,
        hooknum: at.hook,
        priority: at.priority,
        ..NetfilterOpts::default()
    };
    let link = program.attach_netfilter_with_opts(options);
    link.map(Attached::Link).map_err(|error| refused(errno_of(&error)))
}
