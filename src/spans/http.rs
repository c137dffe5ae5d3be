//! One request to a collector over a connection of its own, with a deadline for all of it.
//!
//! A connection is not kept for the next batch: seconds lie between them, and a collector that
//! closes one meanwhile would make a request fail that nothing is wrong with. The response is
//! read by `httparse`, as hyper does, and as much of its body as says something.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::endpoint::Endpoint;
use super::resolve::{ResolveError, Resolver};
use super::retry;

/// Bytes of a response's head: as many as hyper reads.
const MOST_HEAD: usize = 16 * 1024;
const MOST_HEADERS: usize = 100;
/// Bytes of a response's body that are read: its messages are short.
const MOST_BODY: usize = 64 * 1024;
/// One address that does not answer must not take the time of the others.
const CONNECT: Duration = Duration::from_secs(3);

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    #[error("{address} cannot be connected to: {error}")]
    Connect { address: SocketAddr, error: io::Error },
    #[error("there was no answer in time")]
    Timeout,
    #[error("the connection broke: {0}")]
    Connection(io::Error),
    #[error("the answer is not HTTP: {0}")]
    Response(&'static str),
}

impl HttpError {
    /// A stable label value.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Resolve(_) => "resolve",
            Self::Connect { .. } => "connect",
            Self::Timeout => "timeout",
            Self::Connection(_) => "connection",
            Self::Response(_) => "response",
        }
    }
}

/// A response; of its headers only those with text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    /// With names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Response {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The pause that is asked for.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        retry::asked_pause(self.header("retry-after")?, self.header("date"))
    }

    /// Whether the body is protobuf.
    pub(super) fn is_protobuf(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.starts_with("application/x-protobuf"))
    }
}

/// Posts to one endpoint.
#[derive(Debug)]
pub(super) struct Client {
    endpoint: Endpoint,
    resolver: Resolver,
    /// Everything of a request's head but its body's length.
    head: String,
}

impl Client {
    pub(super) fn new(
        endpoint: Endpoint,
        headers: &[(String, String)],
        is_packed: bool,
        resolver: Resolver,
    ) -> Self {
        let mut head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/x-protobuf\r\n",
            endpoint.path,
            endpoint.authority(),
        );
        if is_packed {
            head.push_str("Content-Encoding: gzip\r\n");
        }
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("user-agent")) {
            let agent = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
            head.push_str(&format!("User-Agent: {agent}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        Self { endpoint, resolver, head }
    }

    /// Sends a body and reads the answer.
    pub(super) fn post(&self, body: &[u8], deadline: Instant) -> Result<Response, HttpError> {
        let addresses = self.resolver.resolve(&self.endpoint.host, deadline)?;
        let mut stream = self.connect(&addresses, deadline)?;
        let head = format!("{}Content-Length: {}\r\n\r\n", self.head, body.len());
        let sent =
            write(&mut stream, head.as_bytes(), deadline).and_then(|()| write(&mut stream, body, deadline));
        match (sent, read(&mut stream, deadline)) {
            (Ok(()), response) => response,
            // Who refuses may say so and close before the whole request has arrived.
            (Err(_), Ok(response)) => Ok(response),
            (Err(error), Err(_)) => Err(error),
        }
    }

    /// Connects to the first address that answers.
    fn connect(&self, addresses: &[IpAddr], deadline: Instant) -> Result<TcpStream, HttpError> {
        let mut failed = HttpError::Timeout;
        for address in addresses {
            let address = SocketAddr::new(*address, self.endpoint.port);
            match TcpStream::connect_timeout(&address, rest(deadline)?.min(CONNECT)) {
                Ok(stream) => {
                    // One request is two writes, and nothing is to wait for an acknowledgement.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) => failed = HttpError::Connect { address, error },
            }
        }
        Err(failed)
    }
}

/// The time that is left; a socket takes no timeout of 0.
pub(super) fn rest(deadline: Instant) -> Result<Duration, HttpError> {
    let rest = deadline.saturating_duration_since(Instant::now());
    if rest < Duration::from_millis(1) { Err(HttpError::Timeout) } else { Ok(rest) }
}

fn write(stream: &mut TcpStream, mut bytes: &[u8], deadline: Instant) -> Result<(), HttpError> {
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(rest(deadline)?)).map_err(HttpError::Connection)?;
        match stream.write(bytes) {
            Ok(0) => return Err(HttpError::Connection(io::ErrorKind::WriteZero.into())),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) => passing(error)?,
        }
    }
    Ok(())
}

/// Reads more; 0 bytes at the end.
fn more(stream: &mut TcpStream, into: &mut Vec<u8>, deadline: Instant) -> Result<usize, HttpError> {
    let mut buffer = [0; 4096];
    loop {
        stream.set_read_timeout(Some(rest(deadline)?)).map_err(HttpError::Connection)?;
        match stream.read(&mut buffer) {
            Ok(count) => {
                into.extend(buffer.iter().take(count));
                return Ok(count);
            }
            Err(error) => passing(error)?,
        }
    }
}

/// Errors that are none.
fn passing(error: io::Error) -> Result<(), HttpError> {
    match error.kind() {
        io::ErrorKind::Interrupted => Ok(()),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Err(HttpError::Timeout),
        _ => Err(HttpError::Connection(error)),
    }
}

fn read(stream: &mut TcpStream, deadline: Instant) -> Result<Response, HttpError> {
    let mut bytes = Vec::new();
    let (mut response, begin) = loop {
        match head(&bytes)? {
            // What is only on its way is said by 1xx, and the answer follows.
            Some((response, begin)) if (100..200).contains(&response.status) => drop(bytes.drain(..begin)),
            Some(found) => break found,
            None if bytes.len() >= MOST_HEAD => return Err(HttpError::Response("its head has no end")),
            None => {
                if more(stream, &mut bytes, deadline)? == 0 {
                    return Err(HttpError::Connection(io::ErrorKind::UnexpectedEof.into()));
                }
            }
        }
    };
    bytes.drain(..begin);
    // The status says what becomes of the batch. When the body behind it breaks off, sending the
    // batch again would only double the spans.
    while bytes.len() < MOST_BODY && !is_whole(&response, &bytes) {
        if !matches!(more(stream, &mut bytes, deadline), Ok(1..)) {
            break;
        }
    }
    response.body = body(&response, bytes);
    Ok(response)
}

/// The head of a response and where its body begins; none when it is not whole.
fn head(bytes: &[u8]) -> Result<Option<(Response, usize)>, HttpError> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    let begin = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(begin)) => begin,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(HttpError::Response("its head cannot be read")),
    };
    let status = parsed.code.ok_or(HttpError::Response("it has no status"))?;
    let text = |header: &httparse::Header<'_>| {
        Some((header.name.to_ascii_lowercase(), std::str::from_utf8(header.value).ok()?.to_owned()))
    };
    let headers = parsed.headers.iter().filter_map(text).collect();
    Ok(Some((Response { status, headers, body: Vec::new() }, begin)))
}

fn is_chunked(response: &Response) -> bool {
    response.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
}

/// Bytes of the body, as its header says.
fn length(response: &Response) -> Option<usize> {
    response.header("content-length")?.trim().parse().ok()
}

/// Whether nothing of the body is missing. One without a length ends with the connection.
fn is_whole(response: &Response, bytes: &[u8]) -> bool {
    if matches!(response.status, 204 | 304) {
        return true;
    }
    if is_chunked(response) {
        return unchunked(bytes).1;
    }
    length(response).is_some_and(|length| bytes.len() >= length)
}

fn body(response: &Response, mut bytes: Vec<u8>) -> Vec<u8> {
    if is_chunked(response) {
        return unchunked(&bytes).0;
    }
    bytes.truncate(length(response).unwrap_or(bytes.len()).min(MOST_BODY));
    bytes
}

/// What is in chunks, and whether the last one has come.
fn unchunked(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Ok(httparse::Status::Complete((begin, size))) = httparse::parse_chunk_size(bytes) {
        if size == 0 {
            return (body, true);
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let chunk = bytes.get(begin..).unwrap_or_default();
        body.extend(chunk.iter().take(size));
        match size.checked_add(2).and_then(|end| chunk.get(end..)) {
            Some(rest) => bytes = rest,
            None => return (body, false),
        }
    }
    (body, false)
}

#[cfg(test)]
mod tests;
