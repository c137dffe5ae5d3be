//! `string`: text up to the first NUL.

use super::{
    Built, Canonical, Decode, DecodeError, Decoded, Entry, Injective, Kind, Plain, Traits, Value, text,
};

pub(super) const ENTRY: Entry = Entry {
    name: "string",
    summary: "Text up to the first NUL byte, or the whole field when it has none.",
    build: |_, kind, _| build(kind),
};

#[derive(Debug)]
struct Text {
    injective: Injective,
}

fn build(kind: Kind) -> Built {
    Ok(match kind {
        Kind::Field(_) | Kind::Text => (Box::new(Text { injective: Injective::Canonical }), Kind::Text),
        Kind::Number | Kind::Signed => (Box::new(Text { injective: Injective::Always }), kind),
    })
}

impl Decode for Text {
    fn decode(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        Ok(match value {
            Value::Bytes(bytes) => {
                out.extend_from_slice(text::before_nul(bytes));
                Decoded::Text
            }
            // The digits of a number hold no NUL.
            Value::Unsigned(number) => Decoded::Unsigned(number),
            Value::Signed(number) => Decoded::Signed(number),
        })
    }

    fn plain(&self, before: Plain) -> Option<Plain> {
        Some(if before == Plain::Bytes { Plain::Text } else { before })
    }

    fn traits(&self) -> Traits {
        Traits::pure(self.injective)
    }

    fn canonical(&self) -> Option<Canonical> {
        (self.injective == Injective::Canonical).then_some(Canonical::Text)
    }
}
