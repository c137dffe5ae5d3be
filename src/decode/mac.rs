//! `mac`: an Ethernet address.

use super::{BuildError, Built, Decode, DecodeError, Decoded, Entry, Injective, Kind, Traits, Value, text};

pub(super) const ENTRY: Entry = Entry {
    name: "mac",
    summary: "An Ethernet address of 6 bytes, such as `52:54:00:12:34:56`.",
    build: |_, kind, _| build(kind),
};

#[derive(Debug)]
struct Mac;

fn build(kind: Kind) -> Built {
    match kind {
        Kind::Field(6) => Ok((Box::new(Mac), Kind::Text)),
        Kind::Field(size) => Err(BuildError::field_size("mac", size, "6 bytes")),
        Kind::Text => Err(BuildError::input("mac", "text", "a field of 6 bytes")),
        Kind::Number | Kind::Signed => Err(BuildError::input("mac", "number", "a field of 6 bytes")),
    }
}

impl Decode for Mac {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        let Value::Bytes(bytes) = value else {
            return Err(DecodeError::Size(0));
        };
        let [first, others @ ..] = <[u8; 6]>::try_from(bytes).map_err(|_| DecodeError::Size(bytes.len()))?;
        text::push_hex(out, &[first]);
        for octet in others {
            out.push(b':');
            text::push_hex(out, &[octet]);
        }
        Ok(Decoded::Text)
    }

    fn traits(&self) -> Traits {
        Traits::pure(Injective::Always)
    }
}
