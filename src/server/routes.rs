//! Which page a request is for: pure, a table in code.

use std::borrow::Cow;

/// A page that a [`super::Handler`] gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The telemetry path.
    Metrics,
    /// `/`: what this exporter is and how it is.
    Landing,
    /// `/-/ready`
    Ready,
    /// `/maps`, with `--debug` only: what the maps hold.
    Maps,
    /// `/-/reload`, by POST or PUT and with `--web.enable-lifecycle` only.
    Reload,
}

impl Page {
    /// Whether the page can be long and dear, so that only some of it may be in memory at a time.
    #[must_use]
    pub fn is_dear(self) -> bool {
        matches!(self, Self::Metrics | Self::Maps)
    }
}

/// What is to be done with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// A page of the handler.
    Page(Page),
    /// `/-/healthy`: the server itself answers, whatever else is stuck.
    Healthy,
    /// `/maps` without `--debug`.
    MapsNeedDebug,
    /// `/-/reload` without `--web.enable-lifecycle`.
    LifecycleNeedsFlag,
    /// Nothing is served here.
    NotFound,
    /// A page, but not by this method; the methods that are allowed.
    MethodNotAllowed(&'static str),
}

/// What the routes depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routes {
    /// Where the metrics are; it wins over every other page.
    pub telemetry_path: String,
    /// Whether `/maps` is served.
    pub debug: bool,
    /// Whether `/-/reload` is.
    pub lifecycle: bool,
}

/// Finds the route for a method and a path (without its query).
#[must_use]
pub fn route(method: &str, path: &str, routes: &Routes) -> Route {
    let path = percent_decoded(path);
    let found = if path == routes.telemetry_path.as_bytes() {
        Route::Page(Page::Metrics)
    } else {
        match &*path {
            b"/" => Route::Page(Page::Landing),
            b"/-/healthy" => Route::Healthy,
            b"/-/ready" => Route::Page(Page::Ready),
            b"/maps" if routes.debug => Route::Page(Page::Maps),
            b"/maps" => Route::MapsNeedDebug,
            b"/-/reload" if routes.lifecycle => Route::Page(Page::Reload),
            b"/-/reload" => Route::LifecycleNeedsFlag,
            _ => Route::NotFound,
        }
    };
    match (found, method) {
        (Route::Page(Page::Reload), "POST" | "PUT") => found,
        (Route::Page(Page::Reload), _) => Route::MethodNotAllowed("POST, PUT"),
        (Route::NotFound | Route::MapsNeedDebug | Route::LifecycleNeedsFlag, _) | (_, "GET" | "HEAD") => {
            found
        }
        _ => Route::MethodNotAllowed("GET, HEAD"),
    }
}

/// Bytes behind `%41`; what is no such escape stays as it is.
fn percent_decoded(path: &str) -> Cow<'_, [u8]> {
    if !path.contains('%') {
        return Cow::Borrowed(path.as_bytes());
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escape = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                hex_digit(*high).zip(hex_digit(*low)).map(|(high, low)| (high << 4 | low, after))
            }
            _ => None,
        };
        let (byte, after) = escape.unwrap_or((first, after));
        decoded.push(byte);
        rest = after;
    }
    Cow::Owned(decoded)
}

fn hex_digit(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &str, path: &str, expected: Route) {
        let routes = Routes { telemetry_path: "/metrics".into(), debug: false, lifecycle: false };
        assert_eq!(route(method, path, &routes), expected, "{method} {path}");
    }

    #[track_caller]
    fn check_at(telemetry_path: &str, path: &str, expected: Route) {
        let routes = Routes { telemetry_path: telemetry_path.into(), debug: true, lifecycle: true };
        assert_eq!(route("GET", path, &routes), expected, "{path} with metrics at {telemetry_path}");
    }

    #[test]
    fn pages_are_found_by_their_exact_path() {
        check("GET", "/metrics", Route::Page(Page::Metrics));
        check("HEAD", "/metrics", Route::Page(Page::Metrics));
        check("GET", "/", Route::Page(Page::Landing));
        check("HEAD", "/", Route::Page(Page::Landing));
        check("GET", "/-/healthy", Route::Healthy);
        check("HEAD", "/-/ready", Route::Page(Page::Ready));
        check("GET", "/metrics/", Route::NotFound);
        check("GET", "/Metrics", Route::NotFound);
        check("GET", "//", Route::NotFound);
        check("GET", "", Route::NotFound);
        check("GET", "*", Route::NotFound);
        check("GET", "/debug/pprof/", Route::NotFound);
    }

    #[test]
    fn other_methods_are_not_allowed_where_something_is_served() {
        check("POST", "/metrics", Route::MethodNotAllowed("GET, HEAD"));
        check("PUT", "/-/healthy", Route::MethodNotAllowed("GET, HEAD"));
        check("get", "/", Route::MethodNotAllowed("GET, HEAD"));
        check("POST", "/nothing", Route::NotFound);
        check("DELETE", "/maps", Route::MapsNeedDebug);
    }

    #[test]
    fn maps_need_debug() {
        check("GET", "/maps", Route::MapsNeedDebug);
        check_at("/metrics", "/maps", Route::Page(Page::Maps));
    }

    #[test]
    fn a_reload_is_asked_for_by_post_and_needs_its_flag() {
        check("POST", "/-/reload", Route::LifecycleNeedsFlag);
        check("GET", "/-/reload", Route::LifecycleNeedsFlag);
        let routes = Routes { telemetry_path: "/metrics".into(), debug: false, lifecycle: true };
        for method in ["POST", "PUT"] {
            assert_eq!(route(method, "/-/reload", &routes), Route::Page(Page::Reload));
        }
        assert_eq!(route("GET", "/-/reload", &routes), Route::MethodNotAllowed("POST, PUT"));
    }

    #[test]
    fn the_telemetry_path_wins() {
        check_at("/", "/", Route::Page(Page::Metrics));
        check_at("/-/ready", "/-/ready", Route::Page(Page::Metrics));
        check_at("/a b", "/a%20b", Route::Page(Page::Metrics));
        check_at("/a", "/metrics", Route::NotFound);
    }

    #[test]
    fn escapes_are_decoded_and_broken_ones_left() {
        check("GET", "/%6Detrics", Route::Page(Page::Metrics));
        check("GET", "/%6detrics", Route::Page(Page::Metrics));
        check("GET", "/metrics%", Route::NotFound);
        check("GET", "/metrics%6", Route::NotFound);
        check("GET", "/%ff%00", Route::NotFound);
        check_at("/100%", "/100%", Route::Page(Page::Metrics));
        check_at("/é", "/%C3%A9", Route::Page(Page::Metrics));
    }
}
