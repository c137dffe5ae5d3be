//! `uint`: an unsigned integer in host order.

use super::{
    BuildError, Built, Decode, DecodeError, Decoded, Entry, Injective, Kind, Plain, Traits, Value, number,
    text,
};

pub(super) const ENTRY: Entry = Entry {
    name: "uint",
    summary: "An unsigned integer of 1, 2, 4 or 8 bytes in host order, as a decimal number.",
    build: |_, kind, _| build(kind),
};

#[derive(Debug)]
struct Uint {
    injective: Injective,
}

fn build(kind: Kind) -> Built {
    let injective = match kind {
        Kind::Field(1 | 2 | 4 | 8) => Injective::Always,
        Kind::Field(size) => return Err(BuildError::field_size("uint", size, "1, 2, 4 or 8 bytes")),
        // Texts of different lengths can be the same number.
        Kind::Text | Kind::Number | Kind::Signed => Injective::Never,
    };
    Ok((Box::new(Uint { injective }), Kind::Number))
}

impl Decode for Uint {
    fn decode(&self, value: Value<'_>, _: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        number::unsigned(text::of(value, &mut text::Digits::new())).map(Decoded::Unsigned)
    }

    fn plain(&self, before: Plain) -> Option<Plain> {
        (before == Plain::Bytes).then_some(Plain::Unsigned)
    }

    fn traits(&self) -> Traits {
        Traits::pure(self.injective)
    }
}
