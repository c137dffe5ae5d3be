//! `bool`: false for zero, true for anything else, as C sees it.

use super::{BuildError, Built, Decode, DecodeError, Decoded, Entry, Injective, Kind, Traits, Value};

pub(super) const ENTRY: Entry = Entry {
    name: "bool",
    summary: "`false` when every byte (or the number) is zero, else `true`.",
    build: |_, kind, _| build(kind),
};

#[derive(Debug)]
struct Bool;

fn build(kind: Kind) -> Built {
    match kind {
        Kind::Field(0) => Err(BuildError::field_size("bool", 0, "at least 1 byte")),
        // The text "0" is not zero bytes, and would surprise as `true`.
        Kind::Text => Err(BuildError::input("bool", "text", "a field or a number")),
        Kind::Field(_) | Kind::Number | Kind::Signed => Ok((Box::new(Bool), Kind::Text)),
    }
}

impl Decode for Bool {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        let truth = match value {
            Value::Bytes(bytes) => bytes.iter().any(|byte| *byte != 0),
            Value::Unsigned(number) => number != 0,
            Value::Signed(number) => number != 0,
        };
        out.extend_from_slice(if truth { b"true" } else { b"false" });
        Ok(Decoded::Text)
    }

    /// The bytes 1 and 2 are both true.
    fn traits(&self) -> Traits {
        Traits::pure(Injective::Never)
    }

    fn texts(&self) -> Option<Vec<Vec<u8>>> {
        Some(vec![b"false".to_vec(), b"true".to_vec()])
    }
}
