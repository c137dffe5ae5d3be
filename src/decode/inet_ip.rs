//! `inet_ip`: an IPv4 or IPv6 address in network order.

use std::net::Ipv6Addr;
use std::ops::Range;

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
                None => push_v6(out, address.segments()),
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

/// By hand, as the next one: formatting through `Display` costs several times as much, and addresses are common.
pub(super) fn push_v4(out: &mut Vec<u8>, [first, others @ ..]: [u8; 4]) {
    text::push_number(out, first);
    for octet in others {
        out.push(b'.');
        text::push_number(out, octet);
    }
}

/// The canonical form: no leading zeros, and `::` for the first of the longest runs of zeros.
pub(super) fn push_v6(out: &mut Vec<u8>, segments: [u16; 8]) {
    let zeros = longest_zeros(&segments);
    for (index, segment) in segments.into_iter().enumerate() {
        if index == zeros.start && !zeros.is_empty() {
            out.extend_from_slice(b"::");
        }
        if zeros.contains(&index) {
            continue;
        }
        if index > 0 && index != zeros.end {
            out.push(b':');
        }
        push_segment(out, segment);
    }
}

/// The first of the longest runs of zeros, if it is longer than one; else an empty range past the end.
fn longest_zeros(segments: &[u16; 8]) -> Range<usize> {
    let mut longest = 0..0;
    let mut current = 0..0;
    for (index, segment) in segments.iter().enumerate() {
        if *segment != 0 {
            current = index + 1..index + 1;
            continue;
        }
        current.end = index + 1;
        if current.len() > longest.len() {
            longest = current.clone();
        }
    }
    if longest.len() > 1 { longest } else { segments.len()..segments.len() }
}

fn push_segment(out: &mut Vec<u8>, segment: u16) {
    let digits = (4 - segment.leading_zeros() / 4).max(1);
    for place in (0..digits).rev() {
        let digit = u32::from(segment >> (place * 4)) & 15;
        out.push(char::from_digit(digit, 16).map_or(b'?', |digit| digit as u8));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The standard library writes the same form.
        #[test]
        fn v6_is_canonical(
            segments in any::<[u16; 8]>(),
            zeros in any::<[bool; 8]>(),
            shift in 0_u32..16,
        ) {
            let mut segments = segments.map(|segment| segment >> shift);
            for (segment, zero) in segments.iter_mut().zip(zeros) {
                if zero {
                    *segment = 0;
                }
            }
            let address = Ipv6Addr::from(segments);
            prop_assume!(address.to_ipv4_mapped().is_none());
            let mut out = Vec::new();
            push_v6(&mut out, segments);
            prop_assert_eq!(String::from_utf8(out).unwrap(), address.to_string());
        }
    }
}
