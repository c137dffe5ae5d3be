//! Sockets in a map of the object: what they send (`sk_msg`) and receive (`sk_skb`).
//!
//! Links for that came with Linux 6.10. Without one a program is at its map until another takes its place, or until it
//! is taken off, which [`Held`] does when it is dropped.

use std::os::fd::{AsFd, OwnedFd};

use libbpf_rs::ProgramMut;

use crate::bpf::raw;

use super::{AttachError, Attached, Missing, refused_by_kernel};

/// A program at a map.
#[derive(Debug)]
pub(in crate::bpf) struct Held {
    map: OwnedFd,
    program: OwnedFd,
    hook: u32,
}

/// `map` is the map of the name that the config says, if the object has it in the kernel.
pub(super) fn attach(
    program: &ProgramMut<'_>,
    name: &str,
    map: Option<OwnedFd>,
) -> Result<Attached, AttachError> {
    let map = map.ok_or_else(|| AttachError::Missing(Missing::Map(name.to_owned())))?;
    let hook = program.attach_type() as u32;
    let program =
        raw::attach_to_map(program, map.as_fd(), hook).map_err(|error| refused_by_kernel(&error))?;
    Ok(Attached::Sockmap(Held { map, program, hook }))
}

impl Drop for Held {
    fn drop(&mut self) {
        // The kernel takes off this program alone: its successor may be there already.
        let _ = raw::detach_from_map(self.program.as_fd(), self.map.as_fd(), self.hook);
    }
}
