//! What a handler is asked, and what it answers.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::Cut;
use super::routes::Page;

/// The most that is left of a scrape's timeout for the way back.
const WAY_BACK: Duration = Duration::from_millis(500);

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Client {
    /// Over TCP, from this address.
    Address(IpAddr),
    /// Over a Unix socket.
    Local,
}

impl Client {
    /// Whom connections are counted for: a host with IPv6 usually has 2^64 addresses to come from.
    pub(super) fn group(self) -> Self {
        match self {
            Self::Address(IpAddr::V6(address)) => {
                let network = u128::from(address) >> 64 << 64;
                Self::Address(IpAddr::V6(network.into()))
            }
            other => other,
        }
    }
}

/// A request for a page.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which page.
    pub page: Page,
    /// The header `Accept`, several joined by commas.
    pub accept: Option<String>,
    /// The header `Accept-Encoding`, several joined by commas.
    pub accept_encoding: Option<String>,
    /// When the request's head was complete.
    pub arrived: Instant,
    /// How long the client will wait, when it says so (`X-Prometheus-Scrape-Timeout-Seconds`).
    pub timeout: Option<Duration>,
    /// Who asks.
    pub client: Client,
}

impl Request {
    /// When the answer has to be ready: within `limit`, and sooner when the client says that it
    /// gives up before; a tenth of its time, at most half a second, is left for the way back.
    #[must_use]
    pub fn deadline(&self, limit: Duration) -> Instant {
        let patience = self.timeout.map(|timeout| timeout - (timeout / 10).min(WAY_BACK));
        self.arrived + patience.map_or(limit, |patience| patience.min(limit))
    }
}

/// The value of `X-Prometheus-Scrape-Timeout-Seconds`; nonsense is as if it was not there.
pub(super) fn scrape_timeout(value: &str) -> Option<Duration> {
    let seconds: f64 = value.trim().parse().ok()?;
    // A day is more than any client waits, and keeps sums with instants in range.
    (seconds.is_finite() && seconds > 0.0).then(|| Duration::from_secs_f64(seconds.min(86_400.0)))
}

/// What of a body is made while it is sent.
pub trait Rest: Send {
    /// The next chunk; none after the last one.
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>>;
}

impl fmt::Debug for dyn Rest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Rest")
    }
}

/// The rest of a body does not come. The connection ends without an end of the body, so that its client notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rest of the page does not come")]
pub struct BrokenOff(
    /// Why, when it was for the client.
    pub Option<Cut>,
);

/// Where an answer goes.
#[derive(Debug)]
pub struct Reply {
    pub(super) answer: oneshot::Sender<Response>,
    /// The worker counts as taken until there is an answer, even when its client is gone.
    pub(super) worker: OwnedSemaphorePermit,
}

impl Reply {
    /// Gives the answer; what its rest needs can still be done afterwards.
    pub fn send(self, response: Response) {
        drop(self.worker);
        // A client that is gone does not want it.
        let _ = self.answer.send(response);
    }
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// The status code; one that HTTP does not know becomes 500.
    pub status: u16,
    /// `Content-Type`
    pub content_type: Cow<'static, str>,
    /// `Content-Encoding`, when the chunks are coded.
    pub content_encoding: Option<&'static str>,
    /// Other headers.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body, as far as it is there.
    pub chunks: Vec<Bytes>,
    /// The rest of the body; its length is not said then.
    pub rest: Option<Box<dyn Rest>>,
}

impl Response {
    /// A page with a content type.
    #[must_use]
    pub fn new(status: u16, content_type: impl Into<Cow<'static, str>>, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type: content_type.into(),
            content_encoding: None,
            headers: Vec::new(),
            chunks: vec![body.into()],
            rest: None,
        }
    }

    /// Plain text.
    #[must_use]
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", text.into())
            .header("x-content-type-options", "nosniff")
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one_client() {
        let group = |address: &str| Client::Address(address.parse().unwrap()).group();
        assert_eq!(group("2001:db8:1:2::1"), group("2001:db8:1:2:ffff::2"));
        assert_ne!(group("2001:db8:1:2::1"), group("2001:db8:1:3::1"));
        assert_ne!(group("192.0.2.1"), group("192.0.2.2"));
        assert_eq!(Client::Local.group(), Client::Local);
    }

    #[track_caller]
    fn check_header(value: &str, expected_millis: Option<u64>) {
        assert_eq!(scrape_timeout(value), expected_millis.map(Duration::from_millis), "{value:?}");
    }

    #[test]
    fn the_scrape_timeout_is_read_as_seconds() {
        check_header("10", Some(10_000));
        check_header("0.25", Some(250));
        check_header(" 1e1 ", Some(10_000));
        check_header("1e300", Some(86_400_000));
        for nonsense in ["", "0", "-1", "NaN", "inf", "-inf", "10s", "1,5"] {
            check_header(nonsense, None);
        }
    }

    #[track_caller]
    fn check_deadline(timeout_millis: Option<u64>, limit_millis: u64, expected_millis: u64) {
        let request = Request {
            page: Page::Metrics,
            accept: None,
            accept_encoding: None,
            arrived: Instant::now(),
            timeout: timeout_millis.map(Duration::from_millis),
            client: Client::Local,
        };
        let deadline = request.deadline(Duration::from_millis(limit_millis));
        assert_eq!(deadline - request.arrived, Duration::from_millis(expected_millis));
    }

    #[test]
    fn the_deadline_leaves_time_for_the_way_back() {
        check_deadline(None, 8_000, 8_000);
        check_deadline(Some(10_000), 8_000, 8_000);
        check_deadline(Some(10_000), 60_000, 9_500);
        check_deadline(Some(1_000), 60_000, 900);
    }
}
