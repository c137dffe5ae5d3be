//! netkit: packets between a container's interface and the host (since Linux 6.7).

use libbpf_rs::ProgramMut;

use crate::bpf::raw::{self, LinkTarget};
use crate::host::{Host, Interface};
use crate::spec::Netkit;

use super::{AttachError, Attached, Missing, Target, refused_by_kernel};

/// The end on the host of one pair, and which way packets go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bpf) struct At {
    interface: Interface,
    hook: u32,
}

impl At {
    pub(super) fn interface(&self) -> &str {
        &self.interface.name
    }

    /// What tells it from others, whatever it is called just now.
    pub(super) fn key(&self) -> String {
        format!("{} {}", self.interface.index, self.hook)
    }
}

/// `hook` is the one that the program's section names.
pub(super) fn targets(wanted: &Netkit, hook: u32, host: &Host) -> Vec<Target> {
    let (found, missing) = host.select_interfaces(&wanted.interfaces);
    let at = |interface| Target::Netkit(At { interface, hook });
    let missing = missing.into_iter().map(|name| Target::Missing(Missing::Interface(name)));
    found.into_iter().map(at).chain(missing).collect()
}

pub(super) fn attach(program: &ProgramMut<'_>, at: &At) -> Result<Attached, AttachError> {
    let link = raw::create_link(program, LinkTarget::Interface(at.interface.index), at.hook, 0)
        .map_err(|error| refused_by_kernel(&error))?;
    Ok(Attached::Own { link, is_exact: true, is_quick: true })
}
