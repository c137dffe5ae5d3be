//! Durations as Go writes them: `300ms`, `1.5h`, `2h45m`.

use std::time::Duration;

/// The longest duration that Go can write (an `int64` of nanoseconds).
const LONGEST: f64 = i64::MAX as f64;

/// Reads a duration that is not negative.
///
/// # Errors
/// A sentence that says what is expected.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let mistake = || format!("{text:?} is not a duration such as 500ms, 10s or 1m30s");
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.starts_with('-') {
        return Err(format!("{text:?} is negative, which no time to wait can be"));
    }
    let mut nanoseconds = 0.0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(mistake)?;
        let (number, after) = rest.split_at(number);
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let factor = match unit {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return Err(mistake()),
        };
        nanoseconds += number.parse::<f64>().map_err(|_| mistake())? * factor;
        rest = after;
    }
    if text.trim_start_matches('+').is_empty() {
        return Err(mistake());
    }
    if nanoseconds >= LONGEST {
        return Err(format!("{text:?} is longer than the longest duration, 292 years"));
    }
    Ok(Duration::from_nanos(nanoseconds.round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected_nanoseconds: u64) {
        assert_eq!(parse(text), Ok(Duration::from_nanos(expected_nanoseconds)), "{text:?}");
    }

    #[test]
    fn durations_are_read_as_go_does() {
        check("0", 0);
        check("0s", 0);
        check("5s", 5_000_000_000);
        check("+5s", 5_000_000_000);
        check("1m30s", 90_000_000_000);
        check("1.5h", 5_400_000_000_000);
        check("500ms", 500_000_000);
        check(".5s", 500_000_000);
        check("1.s", 1_000_000_000);
        check("10us", 10_000);
        check("10µs", 10_000);
        check("7ns", 7);
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "+", "5", "s", ".s", "5 s", "5d", "-1s", "1s-2s", "1e3s", "5S", "1..5s"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(parse("9999999h").unwrap_err().contains("292 years"));
    }
}
