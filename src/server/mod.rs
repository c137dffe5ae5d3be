//! HTTP with hyper: routes, connections, limits.
//!
//! One thread runs every connection; what a page costs is paid on a few worker
//! threads. Slow and hostile clients are bounded by time (headers, idleness, a
//! least speed of reading), by number (when no connection is left, the one that
//! can best be spared is closed) and by memory (so many pages may be on their way).
//! Nothing here knows what a page holds: a [`Handler`] gives the answers.

mod connections;
mod cuts;
mod guarded;
mod landing;
mod listen;
mod message;
mod rights;
mod routes;
mod service;

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::time::Duration;

pub use bytes::Bytes;
pub use cuts::{Cut, Cuts};
pub use landing::{ConfigState, ConfigStatus, ProgramRow, Status, landing_page};
pub use listen::{Server, start};
pub use message::{BrokenOff, Client, Reply, Request, Response, Rest};
pub use routes::{Page, Route, Routes, route};

/// Gives the answers. It is called on worker threads, several at a time.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request; a HEAD request is answered like a GET, the body is left out later.
    fn answer(&self, request: &Request, reply: Reply);

    /// A client was cut before it had its answer.
    fn cut(&self, cut: Cut) {
        let _ = cut;
    }
}

/// A socket that listens.
#[derive(Debug)]
pub enum Listener {
    /// A TCP socket.
    Tcp(TcpListener),
    /// A Unix stream socket, as systemd may hand it over.
    Unix(UnixListener),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

/// What a client may cost. A time of `None` is not bounded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time.
    pub max_connections: usize,
    /// From the first byte of a request (or from the connection's begin) to the end of its head.
    pub header_timeout: Option<Duration>,
    /// Between two requests of one connection.
    pub idle_timeout: Option<Duration>,
    /// For each 16 KiB of a response, and for its rest: a client that reads slower is cut.
    pub write_timeout: Option<Duration>,
    /// How long a request waits for its turn when others are being answered.
    pub queue_timeout: Duration,
    /// How long responses may take to end after the server was told to stop.
    pub drain_timeout: Duration,
    /// Bytes of a request's head.
    pub max_head_bytes: usize,
    /// Requests for the telemetry path and for `/maps` that are worked on at a time.
    pub workers: usize,
    /// Such responses in memory at a time: being made or being read by their clients.
    pub max_pages: usize,
    /// How many of them one client address may have; more requests of it wait for their turn.
    pub max_pages_of_client: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 256,
            header_timeout: Some(Duration::from_secs(10)),
            idle_timeout: Some(Duration::from_secs(300)),
            write_timeout: Some(Duration::from_secs(10)),
            queue_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(5),
            max_head_bytes: 16 * 1024,
            // As many as one client address may have pages: those who ask at the same time share one page.
            workers: 8,
            max_pages: 16,
            max_pages_of_client: 8,
        }
    }
}
