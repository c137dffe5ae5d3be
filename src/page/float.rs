//! Floats as Go's `%g` prints them, because the text of `le` is part of a series' identity.

/// Appends a float as Go's `strconv.FormatFloat(number, 'g', -1, 64)` does.
pub fn push_float(out: &mut Vec<u8>, number: f64) {
    if number.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if number.is_infinite() {
        out.extend_from_slice(if number > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if number == 0.0 {
        out.push(b'0');
    } else {
        push_finite(out, number);
    }
}

fn push_finite(out: &mut Vec<u8>, number: f64) {
    let mut buffer = ryu::Buffer::new();
    let shortest = buffer.format_finite(number.abs());
    if number < 0.0 {
        out.push(b'-');
    }
    let mut digits = [0; 32];
    let (length, point) = split(shortest, &mut digits);
    let digits = digits.get(..length).unwrap_or_default();
    let exponent = point - 1;
    if !(-4..6).contains(&exponent) {
        push_exponent(out, digits, exponent);
    } else if point <= 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', usize::try_from(-point).unwrap_or(0)));
        out.extend_from_slice(digits);
    } else {
        let whole = usize::try_from(point).unwrap_or(0);
        let (before, after) = digits.split_at(whole.min(digits.len()));
        out.extend_from_slice(before);
        out.extend(std::iter::repeat_n(b'0', whole.saturating_sub(digits.len())));
        if !after.is_empty() {
            out.push(b'.');
            out.extend_from_slice(after);
        }
    }
}

/// `d.ddde±xx`, the exponent with at least two digits.
fn push_exponent(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    if let Some((first, rest)) = digits.split_first() {
        out.push(*first);
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest);
        }
    }
    out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
    let exponent = exponent.unsigned_abs();
    if exponent < 10 {
        out.push(b'0');
    }
    out.extend_from_slice(itoa::Buffer::new().format(exponent).as_bytes());
}

/// Takes ryu's text (`134.217728`, `1.6e-5`, `0.001`) apart into its significant digits and the
/// place of the decimal point: the number is 0.ddd times ten to that power.
fn split(text: &str, digits: &mut [u8; 32]) -> (usize, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let mut point: i32 = exponent.parse().unwrap_or(0);
    let (mut length, mut significant, mut fraction) = (0, 0, false);
    for byte in mantissa.bytes() {
        if byte == b'.' {
            fraction = true;
            continue;
        }
        let leading = length == 0 && byte == b'0';
        match (fraction, leading) {
            (false, false) => point += 1,
            (true, true) => point -= 1,
            _ => {}
        }
        if leading {
            continue;
        }
        if let Some(place) = digits.get_mut(length) {
            *place = byte;
            length += 1;
        }
        if byte != b'0' {
            significant = length;
        }
    }
    (significant, point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(number: f64, expected: &str) {
        let mut out = Vec::new();
        push_float(&mut out, number);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn floats_look_as_go_prints_them() {
        check(0.0, "0");
        check(-0.0, "0");
        check(1.0, "1");
        check(-1.0, "-1");
        check(100.0, "100");
        check(100_000.0, "100000");
        check(1e6, "1e+06");
        check(999_999.0, "999999");
        check(1_287_408.0, "1.287408e+06");
        check(123_456.789, "123456.789");
        check(134.217_728, "134.217728");
        check(3_816_278_857.0, "3.816278857e+09");
        check(0.5, "0.5");
        check(0.001_024, "0.001024");
        check(0.0001, "0.0001");
        check(0.000_128, "0.000128");
        check(0.000_016, "1.6e-05");
        check(1e-6, "1e-06");
        check(-2.5e-7, "-2.5e-07");
        check(1e15, "1e+15");
        check(1e16, "1e+16");
        check(1e21, "1e+21");
        check(1.5e100, "1.5e+100");
        check(f64::MAX, "1.7976931348623157e+308");
        check(5e-324, "5e-324");
        check(0.1 + 0.2, "0.30000000000000004");
        check(u64::MAX as f64, "1.8446744073709552e+19");
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
        check(f64::NAN, "NaN");
    }

    #[test]
    fn bounds_of_block_latency_look_as_the_reference_writes_them() {
        for (slot, expected) in
            [(0, "1e-06"), (4, "1.6e-05"), (7, "0.000128"), (20, "1.048576"), (27, "134.217728")]
        {
            check(2f64.powi(slot) * 1e-6, expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn the_text_is_the_number(bits: u64) {
            let number = f64::from_bits(bits);
            proptest::prop_assume!(number.is_finite());
            let mut out = Vec::new();
            push_float(&mut out, number);
            let text = String::from_utf8(out).unwrap();
            proptest::prop_assert_eq!(text.parse::<f64>().unwrap(), number);
        }
    }
}
