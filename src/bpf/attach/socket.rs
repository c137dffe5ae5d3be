//! Socket filters: each sees the packets of one interface, both ways, by a packet socket of the exporter's own.
//!
//! What a filter lets pass would wait in the socket to be read, which nobody does: a program that only
//! counts returns 0. The socket's room is as small as the kernel makes it.

use libbpf_rs::ProgramMut;

use crate::bpf::raw;
use crate::host::{Host, Interface, Pattern};

use super::{AttachError, Attached, Missing, Target, refused_by_kernel};

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bpf) struct At(Interface);

impl At {
    pub(super) fn interface(&self) -> &str {
        &self.0.name
    }
}

pub(super) fn targets(interfaces: &[Pattern], host: &Host) -> Vec<Target> {
    let (found, missing) = host.select_interfaces(interfaces);
    let missing = missing.into_iter().map(|name| Target::Missing(Missing::Interface(name)));
    found.into_iter().map(|interface| Target::Socket(At(interface))).chain(missing).collect()
}

pub(super) fn attach(program: &ProgramMut<'_>, at: &At) -> Result<Attached, AttachError> {
    let socket = raw::packet_socket(program, at.0.index).map_err(|error| refused_by_kernel(&error))?;
    Ok(Attached::Socket(socket))
}
