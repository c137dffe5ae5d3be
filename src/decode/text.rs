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

/// Appends the decimal digits of a number. Eight are made at a time, in one register, and copied in one piece of
/// which the part that is too much is cut off again: no table, no call, no loop.
#[inline]
pub fn push_decimal(out: &mut Vec<u8>, number: u64) {
    const EIGHT: u64 = 100_000_000;
    let (high, low) = (number / EIGHT, number % EIGHT);
    if high == 0 {
        return push_first(out, low);
    }
    if high < EIGHT {
        push_first(out, high);
    } else {
        push_first(out, high / EIGHT);
        out.extend_from_slice(&(eight(high % EIGHT) | ZEROS).to_le_bytes());
    }
    out.extend_from_slice(&(eight(low) | ZEROS).to_le_bytes());
}

/// Appends the decimal digits of a number and its sign.
#[inline]
pub fn push_signed_decimal(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    push_decimal(out, number.unsigned_abs());
}

const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);

/// The digits of a number that begin it, of eight at most.
#[inline]
fn push_first(out: &mut Vec<u8>, number: u64) {
    let digits = eight(number);
    // The last one is there even if it is zero.
    let zeros = (digits | (1 << 63)).trailing_zeros() / 8;
    out.extend_from_slice(&((digits | ZEROS) >> (8 * zeros)).to_le_bytes());
    out.truncate(out.len() - zeros as usize);
}

/// The eight digits of a number below 10^8, one in each byte, the first in the lowest.
///
/// Halves of four digits are split into halves of two, and these into single ones, all at once; where a quotient is
/// taken, a product with a rounded-up inverse is exact for numbers as small as these.
#[inline]
const fn eight(number: u64) -> u64 {
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x7f_0000_007f;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x0f_000f_000f_000f;
    tens | ((twos - tens * 10) << 8)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(number: u64) {
        let (mut out, mut signed) = (b"x".to_vec(), b"x".to_vec());
        push_decimal(&mut out, number);
        assert_eq!(String::from_utf8(out).unwrap(), format!("x{number}"));
        push_signed_decimal(&mut signed, number.cast_signed());
        assert_eq!(String::from_utf8(signed).unwrap(), format!("x{}", number.cast_signed()));
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        // Each half of four digits takes part in the same way, whatever the other one is.
        (0..10_000).for_each(|number| check(number * 10_001));
        (0..10_000).for_each(check);
        for exponent in 0..20 {
            let power = 10u64.pow(exponent);
            [power - 1, power, power + 1, power.wrapping_mul(7)].into_iter().for_each(check);
        }
        [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1].into_iter().for_each(check);
    }

    proptest::proptest! {
        #[test]
        fn any_number_is(number: u64, shift in 0u32..64) {
            check(number >> shift);
        }
    }
}
