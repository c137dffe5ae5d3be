//! The text of a value: what the next decoder of a chain sees of it.

use super::Value;

/// Room for the digits of a number.
pub(super) type Digits = itoa::Buffer;

/// The bytes themselves, or the decimal text of a number.
pub(super) fn of<'a>(value: Value<'a>, digits: &'a mut Digits) -> &'a [u8] {
    match value {
        Value::Bytes(bytes) => bytes,
        Value::Unsigned(number) => digits.format(number).as_bytes(),
        Value::Signed(number) => digits.format(number).as_bytes(),
    }
}

/// Everything before the first NUL.
pub(super) fn before_nul(bytes: &[u8]) -> &[u8] {
    memchr::memchr(0, bytes).and_then(|end| bytes.get(..end)).unwrap_or(bytes)
}

/// Appends a number's decimal digits.
pub(super) fn push_number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(Digits::new().format(number).as_bytes());
}

/// Appends a prefix and a number, as decoders do for what they do not know.
pub(super) fn push_unknown(out: &mut Vec<u8>, prefix: &str, number: i128) {
    out.extend_from_slice(prefix.as_bytes());
    push_number(out, number);
}

/// Appends lower-case hexadecimal digits.
pub(super) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// Appends a number in hexadecimal with at least `width` characters, a sign among them.
pub(super) fn push_padded_hex(out: &mut Vec<u8>, number: i128, width: usize) {
    use std::io::Write;
    let digits = if number < 0 { width.saturating_sub(1) } else { width };
    if number < 0 {
        out.push(b'-');
    }
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{:0digits$x}", number.unsigned_abs());
}
