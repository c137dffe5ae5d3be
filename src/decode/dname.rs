//! `dname`: a DNS name in wire format.

use super::{Built, Decode, DecodeError, Decoded, Entry, Injective, Kind, Traits, Value, text};

pub(super) const ENTRY: Entry = Entry {
    name: "dname",
    summary: "A DNS name in wire format with dots; what is not in wire format stays as it is. Use after `string`.",
    build: |_, _, _| build(),
};

#[derive(Debug)]
struct Dname;

fn build() -> Built {
    Ok((Box::new(Dname), Kind::Text))
}

impl Decode for Dname {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        let mut digits = text::Digits::new();
        let wire = text::of(value, &mut digits);
        if wire.is_empty() {
            out.push(b'.');
            return Ok(Decoded::Text);
        }
        let mark = out.len();
        let mut rest = wire;
        while let Some((length, after)) = rest.split_first() {
            let Some((label, after)) = after.split_at_checked(usize::from(*length)) else {
                // A label that runs over the end: not a name in wire format.
                out.truncate(mark);
                out.extend_from_slice(wire);
                return Ok(Decoded::Text);
            };
            // A name starts with its first label, not with the dot before it.
            if rest.len() < wire.len() {
                out.push(b'.');
            }
            out.extend_from_slice(label);
            rest = after;
        }
        Ok(Decoded::Text)
    }

    /// The text `com` and the wire format of `com` come out alike.
    fn traits(&self) -> Traits {
        Traits::pure(Injective::Never)
    }
}
