//! `inet_union`: an address of either family in a union of both, in network order.
//!
//! Programs clear a key before they fill it, so that of an IPv4 address the last 12 bytes are
//! zero. An IPv6 address that ends so is a subnet's and no host's; all zeros are `::`.

use super::inet_ip::{push_v4, push_v6};
use super::{BuildError, Built, Decode, DecodeError, Decoded, Entry, Injective, Kind, Traits, Value};

pub(super) const ENTRY: Entry = Entry {
    name: "inet_union",
    summary: "A union of an IPv4 and an IPv6 address (16 bytes): IPv4 when only the first 4 bytes are not zero.",
    build: |_, kind, _| build(kind),
};

const EXPECTED: &str = "a field of 16 bytes";

#[derive(Debug)]
struct InetUnion;

fn build(kind: Kind) -> Built {
    match kind {
        Kind::Field(16) => Ok((Box::new(InetUnion), Kind::Text)),
        Kind::Field(size) => Err(BuildError::field_size("inet_union", size, "16 bytes")),
        Kind::Text => Err(BuildError::input("inet_union", "text", EXPECTED)),
        Kind::Number | Kind::Signed => Err(BuildError::input("inet_union", "number", EXPECTED)),
    }
}

impl Decode for InetUnion {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        let Value::Bytes(bytes) = value else { return Err(DecodeError::Size(0)) };
        let octets = <[u8; 16]>::try_from(bytes).map_err(|_| DecodeError::Size(bytes.len()))?;
        match octets {
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] if [a, b, c, d] != [0; 4] => {
                push_v4(out, [a, b, c, d]);
            }
            // Not as IPv4 alone: another socket may have the same address without IPv6.
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d] => {
                out.extend_from_slice(b"::ffff:");
                push_v4(out, [a, b, c, d]);
            }
            _ => push_v6(out, std::net::Ipv6Addr::from(octets).segments()),
        }
        Ok(Decoded::Text)
    }

    fn traits(&self) -> Traits {
        Traits::pure(Injective::Always)
    }
}
