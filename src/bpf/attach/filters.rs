//! Whether filters are there at a network interface, and whether there can be some for what goes out: asked of the
//! kernel by rtnetlink.

use std::os::fd::OwnedFd;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

/// `RTM_NEWQDISC`, `RTM_GETQDISC`
const NEW_QDISC: u16 = 36;
const GET_QDISC: u16 = 38;

/// `RTM_NEWTFILTER`, `RTM_GETTFILTER`, `NLMSG_ERROR`, `NLMSG_DONE`
const NEW_FILTER: u16 = 44;
const GET_FILTER: u16 = 46;
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// `NLM_F_REQUEST`; beside it `NLM_F_ACK` and `NLM_F_ECHO`, without which nobody but those who listen is answered; or
/// `NLM_F_DUMP`
const REQUESTED: u16 = 0x1;
const ONE: u16 = REQUESTED | 0x4 | 0x8;
const ALL_OF_THEM: u16 = REQUESTED | 0x300;

/// `TC_H_CLSACT`, which the qdiscs clsact and ingress share, and `TCA_KIND`.
const QDISC: u32 = 0xffff_fff1;
const KIND: u16 = 1;

/// `TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)` and the same for what goes out.
const PARENTS: [u32; 2] = [0xffff_fff2, 0xffff_fff3];

/// Bytes of the head of every message, and of what follows it here.
const HEAD: usize = 16;
const REQUEST: usize = HEAD + 20;

/// Whether an interface has filters in its clsact qdisc. Where that cannot be known it may have.
pub(super) fn are_there(interface: i32) -> bool {
    PARENTS.iter().any(|parent| any_at(interface, *parent).unwrap_or(true))
}

/// Whether an interface has the qdisc `ingress`. It takes filters for what goes out as well, but for what comes in.
pub(super) fn is_of_ingress_alone(interface: i32) -> bool {
    let kind = || -> rustix::io::Result<bool> {
        let socket = ask(&request(GET_QDISC, ONE, interface, QDISC))?;
        let mut buffer = vec![0; 32 << 10];
        let (_, length) = recv(&socket, buffer.as_mut_slice(), RecvFlags::empty())?;
        Ok(kind(buffer.get(..length).unwrap_or_default()) == Some(b"ingress\0"))
    };
    kind().unwrap_or(false)
}

/// A socket on which the kernel answers.
fn ask(request: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    // Without a protocol it is `NETLINK_ROUTE`, which is 0.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    sendto(&socket, request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    Ok(socket)
}

fn any_at(interface: i32, parent: u32) -> rustix::io::Result<bool> {
    let socket = ask(&request(GET_FILTER, ALL_OF_THEM, interface, parent))?;
    let mut buffer = vec![0; 32 << 10];
    loop {
        let (_, length) = recv(&socket, buffer.as_mut_slice(), RecvFlags::empty())?;
        match read(buffer.get(..length).unwrap_or_default()) {
            Some(answer) => return Ok(answer),
            None if length == 0 => return Ok(true),
            None => {}
        }
    }
}

/// A head (length, kind, flags, two numbers that nobody asks for), then a `tcmsg`: family, interface, handle,
/// parent, information.
fn request(kind: u16, flags: u16, interface: i32, parent: u32) -> [u8; REQUEST] {
    let mut bytes = [0; REQUEST];
    let parts: [(usize, &[u8]); 5] = [
        (0, &(REQUEST as u32).to_ne_bytes()),
        (4, &kind.to_ne_bytes()),
        (6, &flags.to_ne_bytes()),
        (HEAD + 4, &interface.to_ne_bytes()),
        (HEAD + 12, &parent.to_ne_bytes()),
    ];
    for (at, part) in parts {
        if let Some(place) = bytes.get_mut(at..at + part.len()) {
            place.copy_from_slice(part);
        }
    }
    bytes
}

/// Whether a part of the answer says that there are some; none when there is more to come.
fn read(mut messages: &[u8]) -> Option<bool> {
    while let (Some(length), Some(kind)) = (messages.get(..4), messages.get(4..6)) {
        let length = u32::from_ne_bytes(length.try_into().ok()?) as usize;
        match u16::from_ne_bytes(kind.try_into().ok()?) {
            NEW_FILTER => return Some(true),
            DONE | ERROR => return Some(false),
            _ => {}
        }
        messages = messages.get(length.next_multiple_of(4).max(HEAD)..)?;
    }
    None
}

/// The kind of the qdisc that an answer describes: the first attribute of this number behind the `tcmsg`.
fn kind(message: &[u8]) -> Option<&[u8]> {
    if message.get(4..6)? != NEW_QDISC.to_ne_bytes() {
        return None;
    }
    let mut attributes = message.get(REQUEST..)?;
    loop {
        let length = usize::from(u16::from_ne_bytes(attributes.get(..2)?.try_into().ok()?));
        if attributes.get(2..4)? == KIND.to_ne_bytes() {
            return attributes.get(4..length);
        }
        attributes = attributes.get(length.next_multiple_of(4).max(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, length: u32) -> Vec<u8> {
        let mut bytes = vec![0; length.next_multiple_of(4) as usize];
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes
    }

    #[test]
    fn answers_are_read_message_by_message() {
        let other = message(20, 37);
        for (last, expected) in [(NEW_FILTER, true), (DONE, false), (ERROR, false)] {
            assert_eq!(read(&[other.clone(), message(last, 20)].concat()), Some(expected));
        }
        assert_eq!(read(&other), None);
        assert_eq!(read(&[]), None);
        assert_eq!(read(&message(20, 16)[..10]), None);
        assert_eq!(read(&[0; 64]), None);
    }

    #[test]
    fn the_kernel_answers() {
        assert!(!are_there(i32::MAX), "there is no such interface");
        assert!(!is_of_ingress_alone(i32::MAX));
    }

    #[test]
    fn the_kind_of_a_qdisc_is_read() {
        #[track_caller]
        fn check(number: u16, attributes: &[(u16, &[u8])], expected: Option<&[u8]>) {
            let mut bytes = message(number, REQUEST as u32);
            for (kind, value) in attributes {
                bytes.extend((4 + value.len() as u16).to_ne_bytes());
                bytes.extend(kind.to_ne_bytes());
                bytes.extend(*value);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
            assert_eq!(kind(&bytes), expected);
            for length in 0..bytes.len() {
                let _ = kind(&bytes[..length]);
            }
        }
        check(NEW_QDISC, &[(KIND, b"ingress\0")], Some(b"ingress\0"));
        check(NEW_QDISC, &[(7, b"abcde"), (KIND, b"clsact\0")], Some(b"clsact\0"));
        check(NEW_QDISC, &[(7, b"abcde")], None);
        check(ERROR, &[(KIND, b"ingress\0")], None);
        check(NEW_QDISC, &[], None);
    }
}
