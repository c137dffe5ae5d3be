//! `int`: a signed integer in host order.

use super::{
    BuildError, Built, Decode, DecodeError, Decoded, Entry, Injective, Kind, Plain, Traits, Value, number,
};

pub(super) const ENTRY: Entry = Entry {
    name: "int",
    summary: "A signed integer of 1, 2, 4 or 8 bytes in host order, as a decimal number.",
    build: |_, kind, _| build(kind),
};

#[derive(Debug)]
struct Int {
    injective: Injective,
}

fn build(kind: Kind) -> Built {
    let (injective, next) = match kind {
        Kind::Field(1 | 2 | 4 | 8) => (Injective::Always, Kind::Signed),
        Kind::Field(size) => return Err(BuildError::field_size("int", size, "1, 2, 4 or 8 bytes")),
        Kind::Text => return Err(BuildError::input("int", "text", "a field of 1, 2, 4 or 8 bytes")),
        Kind::Number | Kind::Signed => (Injective::Always, kind),
    };
    Ok((Box::new(Int { injective }), next))
}

impl Decode for Int {
    fn decode(&self, value: Value<'_>, _: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        match value {
            Value::Bytes(bytes) => number::signed(bytes).map(Decoded::Signed),
            // A number has its sign already.
            Value::Unsigned(number) => Ok(Decoded::Unsigned(number)),
            Value::Signed(number) => Ok(Decoded::Signed(number)),
        }
    }

    fn plain(&self, before: Plain) -> Option<Plain> {
        match before {
            Plain::Bytes => Some(Plain::Signed),
            Plain::Unsigned | Plain::Signed => Some(before),
            Plain::Text => None,
        }
    }

    fn traits(&self) -> Traits {
        Traits::pure(self.injective)
    }
}
