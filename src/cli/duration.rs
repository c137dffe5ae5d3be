//! Durations as Go writes them: `300ms`, `1.5h`, `2h45m`.

use std::time::Duration;

use crate::config::duration;

/// Reads a duration that is not negative.
///
/// # Errors
/// A sentence that says what is expected.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    if text.starts_with('-') {
        return Err(format!("{text:?} is negative, which no time to wait can be"));
    }
    duration::parse(text).ok_or_else(|| format!("{text:?} is not a duration such as 500ms, 10s or 1m30s"))
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
        for text in ["", "+", "5", "s", ".s", "5 s", "5d", "-1s", "1s-2s", "1e3s", "5S", "1..5s", "9999999h"]
        {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
