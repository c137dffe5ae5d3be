//! Numbers out of fields and texts.

use super::{BuildError, DecodeError, Injective, Kind, Value};

/// Whether a key of a `static_map` stands for a number.
#[must_use]
pub fn is_number(key: &str) -> bool {
    parse_yaml(key).is_some()
}

/// How a decoder that takes a number finds it in what reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// Bytes are a field: an unsigned integer in host order.
    Field,
    /// Bytes are text: decimal digits, perhaps with a sign.
    Text,
    /// What comes is an unsigned number already.
    Unsigned,
    /// What comes is a number already, perhaps a negative one.
    Signed,
}

impl Numbers {
    /// Chooses by what will reach the decoder.
    pub(super) fn of(decoder: &str, kind: Kind) -> Result<Self, BuildError> {
        match kind {
            Kind::Field(1 | 2 | 4 | 8) => Ok(Self::Field),
            Kind::Field(size) => Err(BuildError::field_size(decoder, size, "1, 2, 4 or 8 bytes")),
            Kind::Text => Ok(Self::Text),
            Kind::Number => Ok(Self::Unsigned),
            Kind::Signed => Ok(Self::Signed),
        }
    }

    /// The number in a value; wide enough for signed and unsigned alike.
    pub(super) fn read(self, value: Value<'_>) -> Result<i128, DecodeError> {
        match value {
            Value::Unsigned(number) => Ok(i128::from(number)),
            Value::Signed(number) => Ok(i128::from(number)),
            Value::Bytes(bytes) if self == Self::Field => unsigned(bytes).map(i128::from),
            Value::Bytes(bytes) => decimal(bytes).ok_or(DecodeError::NotANumber),
        }
    }

    /// When the numbers read from different inputs are certain to differ: `7` and `07` are two texts.
    pub(super) fn injective(self) -> Injective {
        if self == Self::Text { Injective::Never } else { Injective::Always }
    }
}

/// An unsigned integer of 1, 2, 4 or 8 bytes in host order.
pub(super) fn unsigned(bytes: &[u8]) -> Result<u64, DecodeError> {
    match *bytes {
        [byte] => Ok(u64::from(byte)),
        [a, b] => Ok(u64::from(u16::from_ne_bytes([a, b]))),
        [a, b, c, d] => Ok(u64::from(u32::from_ne_bytes([a, b, c, d]))),
        [a, b, c, d, e, f, g, h] => Ok(u64::from_ne_bytes([a, b, c, d, e, f, g, h])),
        _ => Err(DecodeError::Size(bytes.len())),
    }
}

/// A signed integer of 1, 2, 4 or 8 bytes in host order.
pub(super) fn signed(bytes: &[u8]) -> Result<i64, DecodeError> {
    match *bytes {
        [byte] => Ok(i64::from(i8::from_ne_bytes([byte]))),
        [a, b] => Ok(i64::from(i16::from_ne_bytes([a, b]))),
        [a, b, c, d] => Ok(i64::from(i32::from_ne_bytes([a, b, c, d]))),
        [a, b, c, d, e, f, g, h] => Ok(i64::from_ne_bytes([a, b, c, d, e, f, g, h])),
        _ => Err(DecodeError::Size(bytes.len())),
    }
}

/// The first `N` bytes, where the reference reads a fixed size and ignores what follows.
pub(super) fn first<const N: usize>(bytes: &[u8]) -> Result<[u8; N], DecodeError> {
    bytes.first_chunk::<N>().copied().ok_or(DecodeError::Size(bytes.len()))
}

/// Decimal digits with an optional sign, and nothing else, within 64 bits.
fn decimal(text: &[u8]) -> Option<i128> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let magnitude = i128::from(digits_in(digits, 10)?);
    let number = if negative { -magnitude } else { magnitude };
    (number >= i128::from(i64::MIN)).then_some(number)
}

/// A number as a bucket label may spell it: Go's `ParseUint` with base 0.
/// `0x`, `0o`, `0b` and a leading zero (octal) name a base; underscores may stand between digits.
#[must_use]
pub fn parse_unsigned(text: &[u8]) -> Option<u64> {
    let (base, digits) = split_base(text);
    if !text.contains(&b'_') {
        return digits_in(digits, base);
    }
    // A base prefix counts as a digit that an underscore may follow.
    let mut after_digit = digits.len() < text.len();
    for byte in digits {
        if *byte == b'_' && !after_digit {
            return None;
        }
        after_digit = *byte != b'_';
    }
    if !after_digit {
        return None;
    }
    digits_in(&without_underscores(digits), base)
}

/// A number as YAML 1.1 spells it: `16`, `0x10`, `020`, `0b10000`, `1_6`, with an optional sign.
pub(super) fn parse_yaml(text: &str) -> Option<i128> {
    let plain = without_underscores(text.as_bytes());
    let (negative, digits) = match plain.as_slice() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let magnitude = i128::from(parse_unsigned(digits)?);
    Some(if negative { -magnitude } else { magnitude })
}

fn without_underscores(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| *byte != b'_').collect()
}

fn split_base(text: &[u8]) -> (u32, &[u8]) {
    match text {
        [b'0', b'x' | b'X', digits @ ..] => (16, digits),
        [b'0', b'o' | b'O', digits @ ..] => (8, digits),
        [b'0', b'b' | b'B', digits @ ..] => (2, digits),
        [b'0', digits @ ..] if !digits.is_empty() => (8, digits),
        digits => (10, digits),
    }
}

fn digits_in(digits: &[u8], base: u32) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, byte| {
        let digit = char::from(*byte).to_digit(base)?;
        number.checked_mul(u64::from(base))?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_unsigned(text: &str, expected: Option<u64>) {
        assert_eq!(parse_unsigned(text.as_bytes()), expected, "{text:?}");
    }

    #[test]
    fn bucket_labels_are_go_literals() {
        check_unsigned("0", Some(0));
        check_unsigned("42", Some(42));
        check_unsigned("0x10", Some(16));
        check_unsigned("0XfF", Some(255));
        check_unsigned("0o17", Some(15));
        check_unsigned("0b101", Some(5));
        check_unsigned("017", Some(15));
        check_unsigned("00", Some(0));
        check_unsigned("1_000", Some(1000));
        check_unsigned("0x_1_0", Some(16));
        check_unsigned("0_7", Some(7));
        check_unsigned("18446744073709551615", Some(u64::MAX));
        check_unsigned("18446744073709551616", None);
        for bad in
            ["", "08", "0x", "0b2", "-1", "+1", "1__0", "_1", "1_", "0x_", " 1", "1 ", "1.5", "a", "_", "0_"]
        {
            check_unsigned(bad, None);
        }
    }

    #[track_caller]
    fn check_yaml(text: &str, expected: Option<i128>) {
        assert_eq!(parse_yaml(text), expected, "{text:?}");
    }

    #[test]
    fn yaml_keys_compare_by_value() {
        check_yaml("16", Some(16));
        check_yaml("0x10", Some(16));
        check_yaml("020", Some(16));
        check_yaml("0b1_0000", Some(16));
        check_yaml("1_000", Some(1000));
        check_yaml("-5", Some(-5));
        check_yaml("+5", Some(5));
        check_yaml("read", None);
        check_yaml("08", None);
        check_yaml("", None);
        check_yaml("_", None);
    }

    #[test]
    fn texts_are_decimal() {
        for (text, expected) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("-12", Some(-12)),
            ("+12", Some(12)),
            ("18446744073709551615", Some(i128::from(u64::MAX))),
            ("-9223372036854775808", Some(i128::from(i64::MIN))),
            ("-9223372036854775809", None),
            ("0x1", None),
            ("1_0", None),
            ("--1", None),
            ("-", None),
            ("", None),
            ("1\0", None),
        ] {
            assert_eq!(decimal(text.as_bytes()), expected, "{text:?}");
        }
    }
}
