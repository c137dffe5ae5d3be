//! `hex`: the bytes as hexadecimal digits.

use super::{Built, Decode, DecodeError, Decoded, Entry, Injective, Kind, Traits, Value, text};

pub(super) const ENTRY: Entry = Entry {
    name: "hex",
    summary: "The bytes as lower-case hexadecimal digits, without `0x`.",
    build: |_, _, _| build(),
};

#[derive(Debug)]
struct Hex;

fn build() -> Built {
    Ok((Box::new(Hex), Kind::Text))
}

impl Decode for Hex {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        text::push_hex(out, text::of(value, &mut text::Digits::new()));
        Ok(Decoded::Text)
    }

    fn traits(&self) -> Traits {
        Traits::pure(Injective::Always)
    }
}
