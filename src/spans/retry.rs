//! What an answer means for a batch, as OTLP over HTTP says it.

use std::time::{Duration, SystemTime};

use super::http::Response;
use super::otlp::{self, Partial};

/// The first pause; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// No pause of our own is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// No pause that a collector asks for is taken to be longer.
const MOST_ASKED_FOR: Duration = Duration::from_secs(3600);
/// Letters of a collector's message that the log shows.
const MESSAGE: usize = 200;

/// What becomes of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It arrived, perhaps not all of it was kept.
    Delivered(Partial),
    /// The same request may succeed later; perhaps the collector said when.
    Again { after: Option<Duration>, why: String },
    /// It never will.
    Refused { why: String },
}

/// What an answer means.
pub(super) fn verdict(response: &Response) -> Verdict {
    match response.status {
        200..=299 => Verdict::Delivered(otlp::partial(&response.body)),
        429 | 502 | 503 | 504 => Verdict::Again { after: response.retry_after(), why: said(response) },
        _ => Verdict::Refused { why: said(response) },
    }
}

/// The status with what the collector says of it.
fn said(response: &Response) -> String {
    let message = if response.is_protobuf() {
        otlp::status_message(&response.body)
    } else {
        std::str::from_utf8(&response.body).ok().and_then(|text| text.lines().next()).map(str::to_owned)
    };
    let message = message.unwrap_or_default();
    let shown: String = message.trim().chars().filter(|c| !c.is_control()).take(MESSAGE).collect();
    match shown.as_str() {
        "" => format!("it answered {}", response.status),
        shown => format!("it answered {}: {shown}", response.status),
    }
}

/// The pause that a collector asks for: a number of seconds, or the date when it is over. Until a date it is counted from
/// the date of the answer, if that has one, because clocks differ.
pub(super) fn asked_pause(header: &str, answered: Option<&str>) -> Option<Duration> {
    let header = header.trim();
    let pause = match header.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = httpdate::parse_http_date(header).ok()?;
            let answered = answered.and_then(|date| httpdate::parse_http_date(date.trim()).ok());
            // A date that is past asks for no pause.
            date.duration_since(answered.unwrap_or_else(SystemTime::now)).unwrap_or_default()
        }
    };
    Some(pause.min(MOST_ASKED_FOR))
}

/// The pause after so many attempts, of which `chance` (0 to 255) takes up to a half away, so that many
/// exporters do not come back at once.
pub(super) fn pause(attempts: u32, chance: u8) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
    whole - whole * u32::from(chance) / 512
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Response { status, headers: headers.collect(), body: body.to_vec() }
    }

    #[track_caller]
    fn check(status: u16, headers: &[(&str, &str)], body: &[u8], expected: Verdict) {
        assert_eq!(verdict(&response(status, headers, body)), expected);
    }

    #[test]
    fn what_answers_mean() {
        let delivered = Verdict::Delivered(Partial::default());
        check(200, &[], b"", delivered.clone());
        check(202, &[], b"", delivered);
        let partial = Partial { rejected: 5, message: "old".to_owned() };
        check(200, &[], b"\x0a\x07\x08\x05\x12\x03old", Verdict::Delivered(partial));
        for status in [429, 502, 503, 504] {
            let why = format!("it answered {status}");
            check(status, &[], b"", Verdict::Again { after: None, why });
        }
        for status in [301, 400, 401, 403, 404, 413, 500, 501] {
            let why = format!("it answered {status}");
            check(status, &[], b"", Verdict::Refused { why });
        }
    }

    #[test]
    fn a_collector_says_when_to_come_back_and_why() {
        let after = Some(Duration::from_secs(7));
        let why = "it answered 503: too busy".to_owned();
        check(503, &[("retry-after", " 7 ")], b"too busy\nreally", Verdict::Again { after, why });
        let why = "it answered 400: bad".to_owned();
        let protobuf = [("content-type", "application/x-protobuf")];
        check(400, &protobuf, b"\x08\x03\x12\x03bad", Verdict::Refused { why });
        let why = "it answered 400: red[31m".to_owned();
        check(400, &[], b"red\x1b[31m", Verdict::Refused { why });
        check(400, &[], b"\xff", Verdict::Refused { why: "it answered 400".to_owned() });
    }

    #[track_caller]
    fn check_pause(header: &str, answered: Option<&str>, expected: Option<u64>) {
        assert_eq!(asked_pause(header, answered), expected.map(Duration::from_secs), "{header}");
    }

    #[test]
    fn a_pause_is_seconds_or_ends_at_a_date() {
        check_pause("0", None, Some(0));
        check_pause("120", Some("Fri, 31 Dec 1999 23:59:59 GMT"), Some(120));
        check_pause("99999999999", None, Some(MOST_ASKED_FOR.as_secs()));
        // By the clock of the collector, however wrong that is. All three forms that HTTP has.
        let answered = Some("Fri, 31 Dec 1999 23:59:59 GMT");
        check_pause("Sat, 01 Jan 2000 00:00:29 GMT", answered, Some(30));
        check_pause("Saturday, 01-Jan-00 00:00:29 GMT", answered, Some(30));
        check_pause(" Sat Jan  1 00:00:29 2000", answered, Some(30));
        check_pause("Fri, 31 Dec 1999 23:59:00 GMT", answered, Some(0));
        check_pause("Sun, 31 Dec 2000 23:59:59 GMT", answered, Some(MOST_ASKED_FOR.as_secs()));
        // By our own clock when the collector does not say what its own is.
        for answered in [None, Some("yesterday")] {
            check_pause("Fri, 31 Dec 1999 23:59:59 GMT", answered, Some(0));
            check_pause("Fri, 31 Dec 9999 23:59:59 GMT", answered, Some(MOST_ASKED_FOR.as_secs()));
        }
        for wrong in ["", "-1", "1.5", "tomorrow", "Fri, 31 Dec 1999", "2000-01-01T00:00:29Z"] {
            check_pause(wrong, answered, None);
        }
    }

    #[test]
    fn pauses_double_up_to_a_bound_and_lose_up_to_a_half() {
        let whole: Vec<u64> = (1..=8).map(|attempts| pause(attempts, 0).as_secs()).collect();
        assert_eq!(whole, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(pause(2, 128), Duration::from_millis(1500));
        assert!(pause(1, 255) > Duration::from_millis(500));
        assert_eq!(pause(u32::MAX, 0), LONGEST_PAUSE);
    }
}
