//! `dns_name`: a DNS name as packets have it, whatever they have.
//!
//! Whoever sends a packet chooses every byte of a name. So what comes out is printable ASCII of which
//! a dot is always one between labels, and names that DNS takes for the same one are the same text.

use super::{Built, Canonical, Decode, DecodeError, Decoded, Entry, Injective, Kind, Traits, Value, text};

pub(super) const ENTRY: Entry = Entry {
    name: "dns_name",
    summary: "A DNS name in wire format, in lower case, as zone files write it: `\\.` for a dot in a label, `\\DDD` for \
              what does not print; `malformed name` when it is none.",
    build: |_, _, _| build(),
};

/// Bytes of a label, and of a name with all its lengths and its end.
const MAX_LABEL: usize = 63;
const MAX_NAME: usize = 255;

/// A space, which every name writes otherwise.
const MALFORMED: &[u8] = b"malformed name";

#[derive(Debug)]
struct DnsName;

fn build() -> Built {
    Ok((Box::new(DnsName), Kind::Text))
}

impl Decode for DnsName {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        let mut digits = text::Digits::new();
        let mark = out.len();
        if push_name(text::of(value, &mut digits), out).is_none() {
            out.truncate(mark);
            out.extend_from_slice(MALFORMED);
        }
        Ok(Decoded::Text)
    }

    /// Letters of either case come out alike.
    fn traits(&self) -> Traits {
        Traits::pure(Injective::Never)
    }

    fn canonical(&self) -> Option<Canonical> {
        Some(Canonical::DnsName)
    }
}

/// Brings a field to the form that all fields with the same name have: in lower case, with zeros behind it.
pub(super) fn canonicalise(field: &mut [u8]) {
    let end = labels(field);
    let (name, rest) = field.split_at_mut(end.unwrap_or(0));
    name.make_ascii_lowercase();
    rest.fill(0);
    // No label is that long.
    if end.is_none()
        && let Some(first) = rest.first_mut()
    {
        *first = u8::MAX;
    }
}

/// Bytes of the labels that a field begins with; none when they are no name.
fn labels(wire: &[u8]) -> Option<usize> {
    let mut rest = wire;
    while let Some((length, after)) = rest.split_first()
        && *length != 0
    {
        let (_, after) = after.split_at_checked(usize::from(*length))?;
        // With the empty label that ends it.
        if usize::from(*length) > MAX_LABEL || wire.len() - after.len() >= MAX_NAME {
            return None;
        }
        rest = after;
    }
    Some(wire.len() - rest.len())
}

/// Appends the name that begins a field and ends with an empty label, or with the field where its program has
/// left that out; none when it is no name. A pointer is none: there is no message that it could point into.
fn push_name(wire: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (mut rest, begin) = (wire.get(..labels(wire)?)?, out.len());
    while let Some((length, after)) = rest.split_first() {
        let (label, after) = after.split_at_checked(usize::from(*length))?;
        if out.len() > begin {
            out.push(b'.');
        }
        label.iter().for_each(|byte| push_byte(*byte, out));
        rest = after;
    }
    if out.len() == begin {
        out.push(b'.');
    }
    Some(())
}

/// As RFC 1035 writes a byte of a label in a zone file.
fn push_byte(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'.' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'!'..=b'~' => out.push(byte.to_ascii_lowercase()),
        _ => out.extend_from_slice(&[b'\\', b'0' + byte / 100, b'0' + byte / 10 % 10, b'0' + byte % 10]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(wire: &[u8]) -> String {
        let mut out = b"page".to_vec();
        assert_eq!(DnsName.decode(Value::Bytes(wire), &mut out), Ok(Decoded::Text));
        String::from_utf8(out).unwrap().strip_prefix("page").unwrap().to_owned()
    }

    #[track_caller]
    fn check(wire: &[u8], expected: &str) {
        assert_eq!(name(wire), expected, "{wire:?}");
    }

    #[track_caller]
    fn malformed(wire: &[u8]) {
        check(wire, "malformed name");
    }

    #[test]
    fn names_have_dots() {
        check(b"\x03www\x07example\x03com\0", "www.example.com");
        // Without its end, and with whatever a field holds behind it.
        check(b"\x03www\x07example\x03com", "www.example.com");
        check(b"\x03www\0\0\0\0\0", "www");
        check(b"\x03www\0garbage \xff", "www");
        check(b"\0", ".");
        check(b"", ".");
        check(b"\0\x03www", ".");
    }

    #[test]
    fn case_is_one() {
        check(b"\x03wWw\x07eXAMPLe\x03COM\0", "www.example.com");
        // Beyond ASCII DNS knows none.
        check(b"\x02\xc3\x84\0", "\\195\\132");
    }

    #[test]
    fn what_is_not_plain_is_escaped() {
        check(b"\x03a.b\x01c\0", "a\\.b.c");
        check(b"\x03a\\b\0", "a\\\\b");
        check(b"\x04a\nb\"\0", "a\\010b\"");
        check(b"\x05\0\x01\x7f\xff \0", "\\000\\001\\127\\255\\032");
        check(b"\x0emalformed name\0", "malformed\\032name");
        check(b"\x04_dns\x01*\0", "_dns.*");
    }

    #[test]
    fn pointers_and_other_kinds_of_labels_are_no_names() {
        malformed(b"\xc0\x0c");
        malformed(b"\x03www\xc0\x00");
        malformed(b"\xff");
        malformed(b"\x40a\0");
        malformed(&[&[0x80][..], &[b'a'; 200]].concat());
    }

    #[test]
    fn labels_that_run_over_the_end_are_no_names() {
        malformed(b"\x05com");
        malformed(b"\x01");
        malformed(b"\x01a\x09b\0");
        malformed(&[64; 65]);
    }

    #[test]
    fn lengths_have_bounds() {
        let labels = |count: usize, last: usize| {
            let mut wire = [&[63_u8][..], &[b'x'; 63]].concat().repeat(count);
            wire.push(last as u8);
            wire.extend(vec![b'y'; last]);
            wire.push(0);
            wire
        };
        assert_eq!(labels(3, 61).len(), MAX_NAME);
        assert_eq!(name(&labels(3, 61)).len(), 3 * 64 + 61);
        malformed(&labels(3, 62));
        malformed(&labels(4, 1));
        check(&[&[1, b'z'].repeat(127)[..], &[0]].concat(), &vec!["z"; 127].join("."));
        malformed(&[1, b'z'].repeat(128));
        malformed(&[1, b'z'].repeat(2000));
    }

    /// A name's wire format, from the text that came of it.
    fn wire_of(text: &str) -> Vec<u8> {
        let (mut labels, mut bytes) = (vec![Vec::new()], text.bytes());
        while let Some(byte) = bytes.next() {
            match byte {
                b'.' => labels.push(Vec::new()),
                b'\\' => match bytes.next().unwrap() {
                    digit @ b'0'..=b'9' => {
                        let digits = [digit, bytes.next().unwrap(), bytes.next().unwrap()];
                        labels
                            .last_mut()
                            .unwrap()
                            .push(std::str::from_utf8(&digits).unwrap().parse().unwrap());
                    }
                    other => labels.last_mut().unwrap().push(other),
                },
                byte => labels.last_mut().unwrap().push(byte),
            }
        }
        labels.iter().flat_map(|label| [&[label.len() as u8][..], label].concat()).chain([0]).collect()
    }

    proptest! {
        /// Any bytes give plain text, and any name's text can be read back.
        #[test]
        fn whatever_comes_is_plain_text(wire in proptest::collection::vec(any::<u8>(), 0..300)) {
            let text = name(&wire);
            prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert!(text.len() <= 4 * MAX_NAME);
        }

        #[test]
        fn names_can_be_read_back(
            labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..=63), 1..4)
        ) {
            let mut wire: Vec<u8> =
                labels.iter().flat_map(|label| [&[label.len() as u8][..], label].concat()).collect();
            wire.push(0);
            // A length is below every letter.
            prop_assert_eq!(wire_of(&name(&wire)), wire.to_ascii_lowercase());
        }
    }
}
