//! What the first decoders of a chain come to, where that is simple enough to be done without
//! asking them for every row.

use super::{Value, number, text};

/// What a field is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    /// Its bytes, as they are.
    Bytes,
    /// An unsigned integer in host order.
    Unsigned,
    /// A signed integer in host order.
    Signed,
    /// Text up to the first NUL.
    Text,
}

impl Plain {
    /// The value of a field; none when it has no size that such a value has.
    #[inline]
    pub(super) fn read(self, field: &[u8]) -> Option<Value<'_>> {
        match self {
            Self::Bytes => Some(Value::Bytes(field)),
            Self::Unsigned => number::unsigned(field).ok().map(Value::Unsigned),
            Self::Signed => number::signed(field).ok().map(Value::Signed),
            Self::Text => Some(Value::Bytes(text::before_nul(field))),
        }
    }

    /// Whether its text is decimal digits, perhaps with a sign.
    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Unsigned | Self::Signed)
    }
}
