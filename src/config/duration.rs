//! Durations as Go's `time.ParseDuration` reads them, because the reference's configs hold such.

use std::time::Duration;

/// Reads a duration such as `1h15m30.5s`. Negative ones are refused: nothing here can wait for less than nothing.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (part, behind) = term(rest)?;
        total = total.checked_add(part)?;
        rest = behind;
    }
    // Go holds nanoseconds in an i64.
    let fits = i64::try_from(total).is_ok();
    (fits && (!negative || total == 0)).then(|| Duration::from_nanos(total))
}

/// One number with its unit, in nanoseconds, and the text behind it.
fn term(text: &str) -> Option<(u64, &str)> {
    let (whole, text) = split_digits(text);
    let (fraction, text) = text.strip_prefix('.').map_or(("", text), split_digits);
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let end = text.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(text.len());
    let (unit, rest) = text.split_at(end);
    let unit: u64 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanoseconds = whole.checked_mul(unit)?;
    // Digits behind the first eighteen are below a nanosecond in every unit.
    let fraction = &fraction[..fraction.len().min(18)];
    if !fraction.is_empty() {
        let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
        let part = fraction.parse::<u128>().ok()? * u128::from(unit) / scale;
        nanoseconds = nanoseconds.checked_add(u64::try_from(part).ok()?)?;
    }
    Some((nanoseconds, rest))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(parse(text), expected.map(Duration::from_nanos), "{text:?}");
    }

    #[test]
    fn what_go_reads_is_read() {
        const SECOND: u64 = 1_000_000_000;
        for (text, nanoseconds) in [
            ("0", 0),
            ("-0", 0),
            ("+0", 0),
            ("5s", 5 * SECOND),
            ("+5s", 5 * SECOND),
            ("-0s", 0),
            ("30s", 30 * SECOND),
            ("1478s", 1478 * SECOND),
            ("5.0s", 5 * SECOND),
            ("5.6s", 5 * SECOND + 600_000_000),
            ("5.s", 5 * SECOND),
            (".5s", SECOND / 2),
            ("1.0s", SECOND),
            ("1.00s", SECOND),
            ("1.004s", SECOND + 4_000_000),
            ("1.0040s", SECOND + 4_000_000),
            ("100.00100s", 100 * SECOND + 1_000_000),
            ("10ns", 10),
            ("11us", 11_000),
            ("12µs", 12_000),
            ("12μs", 12_000),
            ("13ms", 13_000_000),
            ("14s", 14 * SECOND),
            ("15m", 900 * SECOND),
            ("16h", 57_600 * SECOND),
            ("3h30m", 12_600 * SECOND),
            ("10.5s4m", 250 * SECOND + 500_000_000),
            ("1h2m3s4ms5us6ns", 3_723_004_005_006),
            ("39h9m14.425s", 140_954_425_000_000),
            ("52763797000ns", 52_763_797_000),
            ("0.3333333333333333333h", 1_200 * SECOND - 1),
            ("9223372036854775807ns", i64::MAX as u64),
            ("0.100000000000000000000h", 360 * SECOND),
        ] {
            check(text, Some(nanoseconds));
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for text in [
            "",
            "3",
            "-",
            "+",
            "s",
            ".",
            "-.",
            ".s",
            "+.s",
            "1d",
            "1 s",
            "1s ",
            " 1s",
            "1S",
            "--1s",
            "1h2",
            "1.2.3s",
            "9223372036854775808ns",
            "9223372036854775808s",
            "3000000h",
            "\u{85}",
            "1é",
            "1_0s",
        ] {
            check(text, None);
        }
        check("-5s", None);
    }
}
