//! `SEC("xdp/<interface>")`: one interface by its name, in the mode that the kernel chooses.

use libbpf_rs::{OpenProgramMut, ProgramAttachType, ProgramMut, ProgramType};
use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice, socket_with};

use crate::bpf::explain::errno_of;

use super::{AttachError, Attached, refused};

/// `BPF_F_XDP_HAS_FRAGS`
const HAS_FRAGS: u32 = 1 << 5;

/// The interface that a section names; none for sections with a meaning of libbpf's own.
pub(super) fn interface(section: &str) -> Option<&str> {
    let section = section.trim_start_matches('?');
    let name = section.strip_prefix("xdp/").or_else(|| section.strip_prefix("xdp.frags/"))?;
    (!matches!(name, "devmap" | "cpumap")).then_some(name)
}

pub(super) fn set_type(program: &mut OpenProgramMut<'_>, section: &str) {
    program.set_prog_type(ProgramType::Xdp);
    program.set_attach_type(ProgramAttachType::Xdp);
    if section.trim_start_matches('?').starts_with("xdp.frags/") {
        program.set_flags(HAS_FRAGS);
    }
}

pub(super) fn attach(program: &ProgramMut<'_>, interface: &str) -> Result<Attached, AttachError> {
    let index = index(interface)?;
    match program.attach_xdp(index) {
        Ok(link) => Ok(Attached::Links(vec![link])),
        Err(error) => Err(refused(errno_of(&error))),
    }
}

fn index(interface: &str) -> Result<i32, AttachError> {
    let unknown = || AttachError::NoInterface(interface.to_owned());
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .map_err(|errno| refused(errno.raw_os_error()))?;
    let index = netdevice::name_to_index(&socket, interface).map_err(|_| unknown())?;
    i32::try_from(index).map_err(|_| unknown())
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

    #[test]
    fn loopback_has_an_index_and_nonsense_none() {
        assert!(matches!(index("lo"), Ok(index) if index > 0));
        for name in ["", "no-such-if", "a name that is far too long for an interface"] {
            assert!(matches!(index(name), Err(AttachError::NoInterface(_))), "{name}");
        }
    }
}
