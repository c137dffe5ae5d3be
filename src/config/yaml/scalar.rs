//! What a plain scalar means to the reference: its parser follows YAML 1.1 in its
//! own way, and configs written for it must keep their meaning.

use super::Scalar;

/// A scalar as the reference's parser resolves it when nothing is known of the field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Resolved {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    /// A date: text for a text field, an error for any other.
    Timestamp,
    Text,
}

/// Resolves a scalar; a quoted one is text.
pub(crate) fn resolve(scalar: &Scalar) -> Resolved {
    if scalar.is_null() {
        return Resolved::Null;
    }
    if !scalar.plain {
        return Resolved::Text;
    }
    let text = scalar.text.as_str();
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Resolved::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Resolved::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" => Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Resolved::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Resolved::Float(f64::NEG_INFINITY),
        _ => number(text),
    }
}

/// A boolean field's value.
pub(crate) fn boolean(scalar: &Scalar) -> Option<bool> {
    match resolve(scalar) {
        Resolved::Null => Some(false),
        Resolved::Bool(value) => Some(value),
        _ => None,
    }
}

/// An integer field's value: floats are cut, as the reference does.
pub(crate) fn integer(scalar: &Scalar) -> Option<i64> {
    match resolve(scalar) {
        Resolved::Null => Some(0),
        Resolved::Int(value) => i64::try_from(value).ok(),
        #[allow(clippy::cast_possible_truncation)]
        Resolved::Float(value) if value.is_finite() && value.abs() < 9.2e18 => Some(value as i64),
        _ => None,
    }
}

/// A float field's value.
pub(crate) fn float(scalar: &Scalar) -> Option<f64> {
    match resolve(scalar) {
        Resolved::Null => Some(0.0),
        #[allow(clippy::cast_precision_loss)]
        Resolved::Int(value) => Some(value as f64),
        Resolved::Float(value) => Some(value),
        _ => None,
    }
}

fn number(text: &str) -> Resolved {
    match text.as_bytes().first() {
        // A leading dot is tried as a float with no underscores.
        Some(b'.') => finite(text).map_or(Resolved::Text, Resolved::Float),
        Some(b'0'..=b'9' | b'+' | b'-') => {
            if is_timestamp(text) {
                return Resolved::Timestamp;
            }
            let text = text.replace('_', "");
            if let Some(value) = parse_integer(&text) {
                return Resolved::Int(value);
            }
            if is_float(&text)
                && let Some(value) = finite(&text)
            {
                return Resolved::Float(value);
            }
            Resolved::Text
        }
        _ => Resolved::Text,
    }
}

/// Go's `ParseInt` with base 0, then `ParseUint`: between -2^63 and 2^64-1.
fn parse_integer(text: &str) -> Option<i128> {
    let (negative, digits, signed) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..], true),
        b'+' => (false, &text[1..], true),
        _ => (false, text, false),
    };
    let magnitude = i128::from(parse_unsigned(digits)?);
    // Only the signed parse takes a sign, and it ends at 2^63.
    let limit = if negative { 1 << 63 } else { (1 << 63) - 1 };
    if signed && magnitude > limit {
        return None;
    }
    Some(if negative { -magnitude } else { magnitude })
}

/// Go's `ParseUint` with base 0, without underscores: `0x`, `0o`, `0b`, or a leading 0 for octal.
pub(crate) fn parse_unsigned(text: &str) -> Option<u64> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', b'o' | b'O', ..] => (&text[2..], 8),
        [b'0', b'b' | b'B', ..] => (&text[2..], 2),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    // `from_str_radix` would take a second sign.
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    u64::from_str_radix(digits, radix).ok()
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    fn digits(text: &str) -> (usize, &str) {
        let count = text.bytes().take_while(u8::is_ascii_digit).count();
        (count, &text[count..])
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, rest) = digits(unsigned);
    let (fraction, rest) = rest.strip_prefix('.').map_or((0, rest), digits);
    if whole + fraction == 0 {
        return false;
    }
    match rest.strip_prefix(['e', 'E']) {
        None => rest.is_empty(),
        Some(exponent) => {
            let (count, rest) = digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
            count > 0 && rest.is_empty()
        }
    }
}

/// Go refuses what overflows, and then the scalar is text.
fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// `2006-1-2` and what may follow it: four digits, a dash, and digits again.
fn is_timestamp(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let (Some(year), Some(month), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let number = |text: &str| -> Option<u8> {
        (matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse().ok())
            .flatten()
    };
    let day = rest.split(['T', 't', ' ']).next().unwrap_or(rest);
    year.len() == 4
        && year.bytes().all(|byte| byte.is_ascii_digit())
        && number(month).is_some_and(|month| (1..=12).contains(&month))
        && number(day).is_some_and(|day| (1..=31).contains(&day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Resolved) {
        let found = resolve(&Scalar { text: text.into(), plain: true, position: None });
        let same = found == expected
            || matches!((found, expected), (Resolved::Float(a), Resolved::Float(b)) if a.is_nan() && b.is_nan());
        assert!(same, "{text:?} resolved to {found:?}, expected {expected:?}");
        let quoted = resolve(&Scalar { text: text.into(), plain: false, position: None });
        assert_eq!(quoted, Resolved::Text, "{text:?} in quotes");
    }

    #[test]
    fn booleans_are_those_of_yaml_1_1() {
        for text in ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"] {
            check(text, Resolved::Bool(true));
        }
        for text in ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"] {
            check(text, Resolved::Bool(false));
        }
        for text in ["yEs", "tRUE", "oN", "t", "f", "enabled", "<<"] {
            check(text, Resolved::Text);
        }
    }

    #[test]
    fn nothing_has_five_spellings() {
        for text in ["", "~", "null", "Null", "NULL"] {
            check(text, Resolved::Null);
        }
        check("nULL", Resolved::Text);
        check("nil", Resolved::Text);
    }

    #[test]
    fn integers_have_go_prefixes_and_underscores() {
        for (text, value) in [
            ("0", 0),
            ("4", 4),
            ("+4", 4),
            ("-4", -4),
            ("010", 8),
            ("0o10", 8),
            ("0O10", 8),
            ("0x1F", 31),
            ("0X1f", 31),
            ("-0x10", -16),
            ("0b101", 5),
            ("-0b101", -5),
            ("1_000", 1000),
            ("0x_ff", 255),
            ("1__0_", 10),
            ("9223372036854775807", i64::MAX.into()),
            ("-9223372036854775808", i64::MIN.into()),
            ("18446744073709551615", u64::MAX.into()),
        ] {
            check(text, Resolved::Int(value));
        }
    }

    #[test]
    fn floats_are_decimal() {
        for (text, value) in [
            ("1.50", 1.5),
            (".5", 0.5),
            ("-.5", -0.5),
            ("+.5", 0.5),
            ("1e3", 1000.0),
            ("1E-6", 1e-6),
            ("1e+3", 1000.0),
            ("0.000001", 1e-6),
            ("5.", 5.0),
            ("1_0.5", 10.5),
            ("08", 8.0),
            ("09.5", 9.5),
            ("18446744073709551616", 18_446_744_073_709_551_616.0),
            ("+9223372036854775808", 9_223_372_036_854_775_808.0),
            (".inf", f64::INFINITY),
            ("+.INF", f64::INFINITY),
            ("-.Inf", f64::NEG_INFINITY),
            (".nan", f64::NAN),
        ] {
            check(text, Resolved::Float(value));
        }
    }

    #[test]
    fn the_rest_is_text() {
        for text in [
            "0x", "0xzz", "1e", "1e999", "--1", "+-1", "0x-1", "1:30", "1.2.3", ".", "+", "-", "._5", "4k",
            "0b2", "_1",
        ] {
            check(text, Resolved::Text);
        }
    }

    #[test]
    fn dates_are_seen_and_not_taken_for_numbers() {
        for text in ["2001-12-14", "2001-1-2", "2001-12-14T21:59:43Z"] {
            check(text, Resolved::Timestamp);
        }
        for text in ["2001-13-14", "2001-1", "201-12-14", "2001-12-99"] {
            check(text, Resolved::Text);
        }
    }

    #[test]
    fn typed_fields_take_what_the_reference_takes() {
        let scalar = |text: &str| Scalar { text: text.into(), plain: true, position: None };
        assert_eq!(integer(&scalar("4.9")), Some(4));
        assert_eq!(integer(&scalar("-4.9")), Some(-4));
        assert_eq!(integer(&scalar("~")), Some(0));
        assert_eq!(integer(&scalar("08")), Some(8));
        for text in ["1e30", ".inf", ".nan", "yes", "4k", "18446744073709551615", "2001-12-14"] {
            assert_eq!(integer(&scalar(text)), None, "{text}");
        }
        assert_eq!(float(&scalar("010")), Some(8.0));
        assert_eq!(float(&scalar("")), Some(0.0));
        assert_eq!(float(&scalar("on")), None);
        assert_eq!(boolean(&scalar("on")), Some(true));
        assert_eq!(boolean(&scalar("~")), Some(false));
        assert_eq!(boolean(&scalar("1")), None);
        assert_eq!(boolean(&Scalar { text: "yes".into(), plain: false, position: None }), None);
    }
}
