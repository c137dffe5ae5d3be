//! The server's thread: accepting, watching over the connections, ending.

use std::io;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::net::{RecvFlags, SendFlags};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::connections::{Connection, Entry};
use super::guarded::{Guarded, Stream};
use super::message::Client;
use super::routes::Routes;
use super::service::Service;
use super::{Handler, Limits, Listener};

/// Said to a client for whom there is no connection left.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\n\
    content-type: text/plain; charset=utf-8\r\ncontent-length: 31\r\n\r\nThere are too many connections.";

/// Hyper's buffer for one connection.
const BUFFER: usize = 64 * 1024;

/// How long accepting pauses after an error that would come again at once (no descriptors left).
const PAUSE: Duration = Duration::from_millis(100);

/// How often such an error is logged.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// A running server; dropping it stops it without waiting.
#[derive(Debug)]
pub struct Server {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Stops accepting, lets the running responses end within [`Limits::drain_timeout`], and waits for that.
    pub fn stop(self) {
        self.stop.send_replace(true);
        if self.thread.join().is_err() {
            tracing::error!("the HTTP server's thread had panicked");
        }
    }
}

/// Starts a thread that serves; it and its workers have the capabilities of the calling thread.
///
/// # Errors
/// When the thread, its runtime or a listener cannot be set up.
pub fn start(
    listeners: Vec<Listener>,
    handler: Arc<dyn Handler>,
    routes: Routes,
    limits: Limits,
) -> io::Result<Server> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .thread_name("http-worker")
        .max_blocking_threads(Service::threads(&limits))
        .build()?;
    let listeners = {
        let _context = runtime.enter();
        listeners.into_iter().map(Socket::new).collect::<io::Result<Vec<Socket>>>()?
    };
    let (stop, stopped) = watch::channel(false);
    let serving = Arc::new(Serving {
        service: Service::new(handler, routes, limits),
        stopped,
        next_id: AtomicU64::new(0),
    });
    let thread =
        std::thread::Builder::new().name("http".into()).spawn(move || run(runtime, listeners, serving))?;
    Ok(Server { stop, thread })
}

fn run(runtime: Runtime, listeners: Vec<Socket>, serving: Arc<Serving>) {
    runtime.block_on(async {
        let accepting: Vec<_> =
            listeners.into_iter().map(|socket| tokio::spawn(accept(socket, serving.clone()))).collect();
        serving.watch_over().await;
        for task in accepting {
            task.abort();
        }
        serving.drain().await;
    });
    // A worker may be stuck in its handler: it is not waited for.
    runtime.shutdown_background();
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Socket {
    fn new(listener: Listener) -> io::Result<Self> {
        match listener {
            Listener::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener).map(Self::Tcp)
            }
            Listener::Unix(listener) => {
                listener.set_nonblocking(true)?;
                UnixListener::from_std(listener).map(Self::Unix)
            }
        }
    }

    async fn accept(&self, serving: &Arc<Serving>) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Where it fails, a response may come a moment later, nothing else.
                let _ = stream.set_nodelay(true);
                serving.connect(stream, Client::Address(address.ip().to_canonical()));
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                serving.connect(stream, Client::Local);
            }
        }
        Ok(())
    }
}

/// Accepts until the task is aborted.
async fn accept(socket: Socket, serving: Arc<Serving>) {
    let mut said: Option<Instant> = None;
    loop {
        let Err(error) = socket.accept(&serving).await else { continue };
        if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
            continue;
        }
        let now = Instant::now();
        if said.is_none_or(|said| now.duration_since(said) >= SAY_AGAIN) {
            tracing::warn!(error = %error, "connections cannot be accepted");
            said = Some(now);
        }
        serving.service.table.spare_connection(now);
        tokio::time::sleep(PAUSE).await;
    }
}

struct Serving {
    service: Service,
    stopped: watch::Receiver<bool>,
    next_id: AtomicU64,
}

impl Serving {
    /// Takes a connection in, if need be at the cost of another one.
    fn connect<S: Stream>(self: &Arc<Self>, stream: S, client: Client) {
        let now = Instant::now();
        let table = &self.service.table;
        if table.len() >= self.service.limits.max_connections && !table.spare_connection(now) {
            refuse(&stream);
            return;
        }
        let entry = table.enter(self.next_id.fetch_add(1, Ordering::Relaxed), client, now);
        tokio::spawn(converse(self.clone(), stream, entry));
    }

    /// Counts a connection that has ended, if its client lost something by that.
    fn count_cut(&self, connection: &Connection) {
        if let Some(cut) = connection.why() {
            tracing::debug!(client = ?connection.client, reason = cut.word(), "a client was cut");
            self.service.handler.cut(cut);
        }
    }

    /// Ends connections that are overdue, until the server is told to stop.
    async fn watch_over(&self) {
        let mut stopped = self.stopped.clone();
        let mut stopped = pin!(stopped.wait_for(|stopped| *stopped));
        loop {
            let next = self.service.table.sweep(&self.service.limits, Instant::now());
            tokio::select! {
                _ = &mut stopped => return,
                () = self.service.table.changed() => {}
                () = sleep_until(next) => {}
            }
        }
    }

    /// Waits for the responses under way, within bounds.
    async fn drain(&self) {
        let table = &self.service.table;
        let until = Instant::now() + self.service.limits.drain_timeout;
        while table.len() > 0 {
            table.end_waiting();
            let next = table.sweep(&self.service.limits, Instant::now());
            if Instant::now() >= until {
                tracing::warn!(connections = table.len(), "responses were cut because the exporter stops");
                table.end_all();
                return;
            }
            tokio::select! {
                () = table.changed() => {}
                () = sleep_until(Some(next.map_or(until, |next| next.min(until)))) => {}
            }
        }
    }
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}

/// Serves one connection to its end.
async fn converse<S: Stream>(serving: Arc<Serving>, stream: S, entry: Entry) {
    let connection = &entry.connection;
    let io = TokioIo::new(Guarded::new(stream, connection.clone()));
    let service = service_fn(|request| async {
        Ok::<_, std::convert::Infallible>(serving.service.respond(connection, request).await)
    });
    let mut builder = http1::Builder::new();
    builder
        // The table of connections knows all the timeouts.
        .header_read_timeout(None)
        // `nc -N` and the like close their side after the request and still want the answer.
        .half_close(true)
        .max_header_size(serving.service.limits.max_head_bytes)
        .max_buf_size(BUFFER);
    let mut stopped = serving.stopped.clone();
    let mut stopped = pin!(stopped.wait_for(|stopped| *stopped));
    let mut stopping = false;
    let mut talk = pin!(builder.serve_connection(io, service));
    loop {
        tokio::select! {
            biased;
            () = connection.cut.notified() => return serving.count_cut(connection),
            result = talk.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(client = ?connection.client, error = %error, "a connection ended early");
                }
                return serving.count_cut(connection);
            }
            _ = &mut stopped, if !stopping => {
                talk.as_mut().graceful_shutdown();
                stopping = true;
            }
        }
    }
}

/// Tells a client that there is no room, without waiting for anything.
fn refuse(stream: &impl AsFd) {
    // Its request is taken out first: closing with unread bytes would discard the answer.
    let mut request = [0; 4096];
    let _ = rustix::net::recv(stream, &mut request, RecvFlags::DONTWAIT);
    let _ = rustix::net::send(stream, FULL, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
    tracing::debug!("a connection was refused: there are too many");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_says_its_own_length() {
        let text = std::str::from_utf8(FULL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
    }
}
