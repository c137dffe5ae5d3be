//! XDP: network interfaces by name, in the mode that the kernel chooses or that the config asks for.

use libbpf_rs::{OpenProgramMut, ProgramAttachType, ProgramMut, ProgramType};

use crate::bpf::raw::{self, LinkTarget};
use crate::host::{Host, Interface, Pattern};
use crate::spec::{Xdp, XdpMode};

use super::{AttachError, Attached, Missing, Target, refused_by_kernel};

/// `BPF_F_XDP_HAS_FRAGS`
const HAS_FRAGS: u32 = 1 << 5;

/// An interface: it has one place for one program.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bpf) struct At {
    interface: Interface,
    /// That of a link cannot change, so that one of another mode is no successor.
    mode: XdpMode,
}

impl At {
    pub(super) fn interface(&self) -> &str {
        &self.interface.name
    }

    /// What tells it from others, whatever it is called just now.
    pub(super) fn key(&self) -> String {
        format!("{} {:?}", self.interface.index, self.mode)
    }
}

/// The interface that a section names; none for sections with a meaning of libbpf's own.
pub(super) fn interface(section: &str) -> Option<&str> {
    let section = section.trim_start_matches('?');
    let name = section.strip_prefix("xdp/").or_else(|| section.strip_prefix("xdp.frags/"))?;
    (!matches!(name, "devmap" | "cpumap")).then_some(name)
}

/// What a section means that names an interface.
pub(super) fn one(interface: &str) -> Xdp {
    Xdp { interfaces: vec![Pattern::exact(interface)], mode: XdpMode::Auto }
}

pub(super) fn set_type(program: &mut OpenProgramMut<'_>, section: &str) {
    program.set_prog_type(ProgramType::Xdp);
    program.set_attach_type(ProgramAttachType::Xdp);
    if section.trim_start_matches('?').starts_with("xdp.frags/") {
        program.set_flags(HAS_FRAGS);
    }
}

pub(super) fn targets(wanted: &Xdp, host: &Host) -> Vec<Target> {
    let (found, missing) = host.select_interfaces(&wanted.interfaces);
    let at = |interface| Target::Xdp(At { interface, mode: wanted.mode });
    let missing = missing.into_iter().map(|name| Target::Missing(Missing::Interface(name)));
    found.into_iter().map(at).chain(missing).collect()
}

pub(super) fn attach(program: &ProgramMut<'_>, at: &At) -> Result<Attached, AttachError> {
    let link = |flags| {
        raw::create_link(program, LinkTarget::Interface(at.interface.index), libbpf_sys::BPF_XDP, flags)
    };
    let outcome = match at.mode {
        // The kernel chooses the driver where it has XDP at all, and some have it not in every state: with a large MTU,
        // with too few queues, while it merges packets. Each has an answer of its own for that.
        XdpMode::Auto => link(0).or_else(|error| match error.raw_os_error() {
            Some(libc::EBUSY | libc::EEXIST | libc::ENODEV | libc::EPERM | libc::EACCES) => Err(error),
            _ => link(libbpf_sys::XDP_FLAGS_SKB_MODE).map_err(|_| error),
        }),
        XdpMode::Native => link(libbpf_sys::XDP_FLAGS_DRV_MODE),
        XdpMode::Generic => link(libbpf_sys::XDP_FLAGS_SKB_MODE),
    };
    let link = outcome.map_err(|error| refused_by_kernel(&error))?;
    Ok(Attached::Own { link, is_exact: true, is_quick: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(section: &str, expected: Option<&str>) {
        assert_eq!(interface(section), expected, "{section}");
    }

    #[test]
    fn a_section_names_one_interface() {
        check("xdp/eth0", Some("eth0"));
        check("?xdp/eth0", Some("eth0"));
        check("xdp.frags/eth0.100", Some("eth0.100"));
        check("xdp/", Some(""));
        check("xdp", None);
        check("xdp/devmap", None);
        check("xdp/cpumap", None);
        check("xdp.frags/devmap", None);
        check("xdpx/eth0", None);
        check("tc/eth0", None);
    }
}
