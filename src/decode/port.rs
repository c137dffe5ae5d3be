//! `port`: a TCP or UDP port in network order.

use super::{BuildError, Built, Decode, DecodeError, Decoded, Entry, Injective, Kind, Traits, Value};

pub(super) const ENTRY: Entry = Entry {
    name: "port",
    summary: "A port of 2 bytes in network order, as a number; for one in host order use `uint`.",
    build: |_, kind, _| build(kind),
};

#[derive(Debug)]
struct Port;

fn build(kind: Kind) -> Built {
    match kind {
        Kind::Field(2) | Kind::Number => Ok((Box::new(Port), Kind::Number)),
        Kind::Field(size) => Err(BuildError::field_size("port", size, "2 bytes in network order")),
        Kind::Text => Err(BuildError::input("port", "text", "a field of 2 bytes")),
        Kind::Signed => Err(BuildError::input("port", "signed number", "a field of 2 bytes")),
    }
}

impl Decode for Port {
    fn decode(&self, value: Value<'_>, _: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        let port = match value {
            Value::Bytes(bytes) => {
                u16::from_be_bytes(bytes.try_into().map_err(|_| DecodeError::Size(bytes.len()))?)
            }
            // `uint` before it read the two bytes in host order.
            Value::Unsigned(number) => {
                u16::from_be(u16::try_from(number).map_err(|_| DecodeError::NotANumber)?)
            }
            Value::Signed(_) => return Err(DecodeError::NotANumber),
        };
        Ok(Decoded::Unsigned(u64::from(port)))
    }

    fn traits(&self) -> Traits {
        Traits::pure(Injective::Always)
    }
}
