//! Where spans go: an URL of a collector.

use std::fmt;
use std::net::IpAddr;

/// The port of `http` where the URL names none.
const HTTP_PORT: u16 = 80;

/// A collector's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path with its query, beginning with `/`.
    pub path: String,
}

/// What is wrong with an URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// TLS is asked for.
    #[error(
        "https is not possible, because no TLS is built in: run a collector beside the exporter, name it \
         with http:// and let it speak https to the others"
    )]
    Https,
    /// It is no URL of http.
    #[error("an URL that begins with http:// is expected, such as http://localhost:4318")]
    NotHttp,
    /// It holds a user or a password.
    #[error("it holds credentials: put them into OTEL_EXPORTER_OTLP_HEADERS, as authorization=Basic%20...")]
    Credentials,
    /// There is no such host.
    #[error("the host {0:?} is neither a name nor an address")]
    Host(String),
    /// There is no such port.
    #[error("the port {0:?} is not a number from 1 to 65535")]
    Port(String),
    /// The path has characters that no URL has.
    #[error("the path {0:?} holds characters that must be written in percents, or a query in a base URL")]
    Path(String),
}

impl Endpoint {
    /// The address of traces below the base URL of all signals (`OTEL_EXPORTER_OTLP_ENDPOINT`).
    ///
    /// # Errors
    /// When it is no URL that can be posted to.
    pub fn below(base: &str) -> Result<Self, EndpointError> {
        let mut endpoint = Self::exactly(base)?;
        if endpoint.path.contains('?') {
            return Err(EndpointError::Path(endpoint.path));
        }
        if !endpoint.path.ends_with('/') {
            endpoint.path.push('/');
        }
        endpoint.path.push_str("v1/traces");
        Ok(endpoint)
    }

    /// The address of traces as it stands (`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`).
    ///
    /// # Errors
    /// When it is no URL that can be posted to.
    pub fn exactly(url: &str) -> Result<Self, EndpointError> {
        let url = url.trim();
        let (scheme, rest) = url.split_once("://").ok_or(EndpointError::NotHttp)?;
        match scheme.to_ascii_lowercase().as_str() {
            "http" => {}
            "https" => return Err(EndpointError::Https),
            _ => return Err(EndpointError::NotHttp),
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(EndpointError::Credentials);
        }
        let (host, port) = split_port(authority)?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(EndpointError::Path(path));
        }
        Ok(Self { host: host.to_owned(), port, path })
    }

    /// What the `Host` header says.
    pub(super) fn authority(&self) -> String {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        if self.port == HTTP_PORT { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.path)
    }
}

/// Host and port of an authority; a literal of IPv6 stands in brackets.
fn split_port(authority: &str) -> Result<(&str, u16), EndpointError> {
    let wrong = || EndpointError::Host(authority.to_owned());
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
            if !matches!(host.parse(), Ok(IpAddr::V6(_))) {
                return Err(wrong());
            }
            (host, port)
        }
        None => {
            let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            if !is_name(host) {
                return Err(wrong());
            }
            (host, port)
        }
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => return Ok((host, HTTP_PORT)),
        None => return Err(wrong()),
        Some(port) => port,
    };
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(number) if is_number && number > 0 => Ok((host, number)),
        _ => Err(EndpointError::Port(port.to_owned())),
    }
}

/// Whether a text can be a host's name, or an address of IPv4.
fn is_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(read: fn(&str) -> Result<Endpoint, EndpointError>, url: &str, expected: &str) {
        let found = read(url).map_or_else(|error| format!("{error:?}"), |endpoint| endpoint.to_string());
        assert_eq!(found, expected, "{url}");
    }

    #[test]
    fn the_base_of_all_signals_gets_a_path() {
        let below = Endpoint::below;
        check(below, "http://localhost:4318", "http://localhost:4318/v1/traces");
        check(below, "http://localhost:4318/", "http://localhost:4318/v1/traces");
        check(below, "http://collector/otlp", "http://collector/otlp/v1/traces");
        check(below, "http://collector/otlp/", "http://collector/otlp/v1/traces");
        check(below, "HTTP://collector:80", "http://collector/v1/traces");
        check(below, " http://10.0.0.1:4318 ", "http://10.0.0.1:4318/v1/traces");
        check(below, "http://[::1]:4318", "http://[::1]:4318/v1/traces");
        check(below, "http://[fe80::1]/x", "http://[fe80::1]/x/v1/traces");
        check(below, "http://a.b.svc.:1#top", "http://a.b.svc.:1/v1/traces");
        check(below, "http://a/?key=1", r#"Path("/?key=1")"#);
    }

    #[test]
    fn the_address_of_traces_is_taken_as_it_stands() {
        let exactly = Endpoint::exactly;
        check(exactly, "http://localhost:4318", "http://localhost:4318/");
        check(exactly, "http://localhost:4318/", "http://localhost:4318/");
        check(exactly, "http://localhost:4318/my/traces", "http://localhost:4318/my/traces");
        check(exactly, "http://localhost:4318/my/?key=1", "http://localhost:4318/my/?key=1");
        check(exactly, "http://localhost:4318?key=1", "http://localhost:4318/?key=1");
    }

    #[test]
    fn what_cannot_be_posted_to_is_refused() {
        let exactly = Endpoint::exactly;
        check(exactly, "https://collector:4318", "Https");
        check(exactly, "grpc://collector:4317", "NotHttp");
        check(exactly, "collector:4318", "NotHttp");
        check(exactly, "", "NotHttp");
        check(exactly, "http://user:secret@collector", "Credentials");
        check(exactly, "http://", r#"Host("")"#);
        check(exactly, "http://:4318", r#"Host(":4318")"#);
        check(exactly, "http://a b/", r#"Host("a b")"#);
        check(exactly, "http://::1/", r#"Host("::1")"#);
        check(exactly, "http://[::1", r#"Host("[::1")"#);
        check(exactly, "http://[::1]4318", r#"Host("[::1]4318")"#);
        check(exactly, "http://[1.2.3.4]", r#"Host("[1.2.3.4]")"#);
        check(exactly, "http://a..b", r#"Host("a..b")"#);
        check(exactly, "http://a:", r#"Port("")"#);
        check(exactly, "http://a:0", r#"Port("0")"#);
        check(exactly, "http://a:+80", r#"Port("+80")"#);
        check(exactly, "http://a:65536", r#"Port("65536")"#);
        check(exactly, "http://a/b c", r#"Path("/b c")"#);
        check(exactly, "http://a/b\r\nX: 1", r#"Path("/b\r\nX: 1")"#);
    }
}
