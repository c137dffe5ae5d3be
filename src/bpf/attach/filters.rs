//! Whether filters are there at a network interface: asked of the kernel by rtnetlink.

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

/// `RTM_NEWTFILTER`, `RTM_GETTFILTER`, `NLMSG_ERROR`, `NLMSG_DONE`
const NEW_FILTER: u16 = 44;
const GET_FILTER: u16 = 46;
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// `NLM_F_REQUEST | NLM_F_DUMP`
const ALL_OF_THEM: u16 = 0x1 | 0x300;

/// `TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS)` and the same for what goes out.
const PARENTS: [u32; 2] = [0xffff_fff2, 0xffff_fff3];

/// Bytes of the head of every message, and of what follows it here.
const HEAD: usize = 16;
const REQUEST: usize = HEAD + 20;

/// Whether an interface has filters in its clsact qdisc. Where that cannot be known it may have.
pub(super) fn are_there(interface: i32) -> bool {
    PARENTS.iter().any(|parent| ask(interface, *parent).unwrap_or(true))
}

fn ask(interface: i32, parent: u32) -> rustix::io::Result<bool> {
    let flags = SocketFlags::CLOEXEC;
    // Without a protocol it is `NETLINK_ROUTE`, which is 0.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    sendto(&socket, &request(interface, parent), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
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
fn request(interface: i32, parent: u32) -> [u8; REQUEST] {
    let mut bytes = [0; REQUEST];
    let parts: [(usize, &[u8]); 5] = [
        (0, &(REQUEST as u32).to_ne_bytes()),
        (4, &GET_FILTER.to_ne_bytes()),
        (6, &ALL_OF_THEM.to_ne_bytes()),
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
    }
}
