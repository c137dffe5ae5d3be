//! `inet_ip`: an IPv4 or IPv6 address in network order.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Built, Decode, DecodeError, Decoded, Entry, Injective, Kind, Traits, Value, text};

pub(super) const ENTRY: Entry = Entry {
    name: "inet_ip",
    summary: "An IPv4 (4 bytes) or IPv6 (16 bytes) address in network order; IPv4-mapped ones as IPv4.",
    build: |_, kind, _| build(kind),
};

#[derive(Debug)]
struct InetIp {
    injective: Injective,
}

fn build(kind: Kind) -> Built {
    let injective = match kind {
        Kind::Field(_) => Injective::Always,
        // 4 bytes and their IPv4-mapped form come out alike.
        Kind::Text | Kind::Number | Kind::Signed => Injective::Never,
    };
    Ok((Box::new(InetIp { injective }), Kind::Text))
}

impl Decode for InetIp {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        let mut digits = text::Digits::new();
        let bytes = text::of(value, &mut digits);
        if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
            push_v4(out, octets);
        } else if let Ok(octets) = <[u8; 16]>::try_from(bytes) {
            let address = Ipv6Addr::from(octets);
            match address.to_ipv4_mapped() {
                Some(mapped) => push_v4(out, mapped.octets()),
                // Writing to a Vec cannot fail.
                None => drop(write!(out, "{address}")),
            }
        } else if bytes.is_empty() {
            out.extend_from_slice(b"<nil>");
        } else {
            out.push(b'?');
            text::push_hex(out, bytes);
        }
        Ok(Decoded::Text)
    }

    fn traits(&self) -> Traits {
        Traits::pure(self.injective)
    }
}

/// By hand, because the formatting machinery costs several times as much and addresses are common.
fn push_v4(out: &mut Vec<u8>, octets: [u8; 4]) {
    let [a, b, c, d] = Ipv4Addr::from(octets).octets();
    text::push_number(out, a);
    for octet in [b, c, d] {
        out.push(b'.');
        text::push_number(out, octet);
    }
}
