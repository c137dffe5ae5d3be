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

/// Appends everything before the first NUL. Fields are often 16 bytes, of which two words are looked at,
/// and copied without a call.
#[inline]
pub(super) fn push_before_nul(out: &mut Vec<u8>, bytes: &[u8]) {
    const ONES: u128 = u128::MAX / 255;
    const HIGH: u128 = ONES << 7;
    let (chunks, rest) = bytes.as_chunks::<16>();
    for chunk in chunks {
        let mark = out.len();
        out.extend_from_slice(chunk);
        let word = u128::from_le_bytes(*chunk);
        // Of the high bits that are set here, the lowest stands for the first NUL.
        let nul = word.wrapping_sub(ONES) & !word & HIGH;
        if nul != 0 {
            out.truncate(mark + nul.trailing_zeros() as usize / 8);
            return;
        }
    }
    out.extend_from_slice(before_nul(rest));
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
