//! DNS on loopback: messages, a server that does what names ask of it, and a client that keeps a pace.
//!
//! The benchmark of the DNS observer uses it as well as the tests.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Bytes of a message before its question.
const HEADER: usize = 12;

/// How long a thread sleeps in a call before it looks whether to stop.
const WINK: Duration = Duration::from_millis(50);

/// Types of records.
pub const A: u16 = 1;
pub const AAAA: u16 = 28;
pub const HTTPS: u16 = 65;

/// The shipped config with other globals, as they stand between braces.
pub fn with_globals(globals: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/dns.yaml");
    with_globals_in(&std::fs::read_to_string(path).unwrap(), globals)
}

/// The same with its text.
pub fn with_globals_in(config: &str, globals: &str) -> String {
    let (before, rest) = config.split_once("globals:\n").unwrap();
    let (_, after) = rest.split_once("programs:\n").unwrap();
    format!("{before}globals: {{{globals}}}\nprograms:\n{after}")
}

/// A name in wire format.
pub fn wire(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let mut wire: Vec<u8> =
        labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
    wire.push(0);
    wire
}

/// A query for one name.
pub fn query(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    // Recursion is desired, and there is one question.
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    message.extend(wire(name));
    message.extend(kind.to_be_bytes());
    message.extend([0, 1]);
    message
}

/// The answer that a query asks for by the first label of its name: `nxdomain`, `servfail`, `truncated`,
/// `large` (some thousand bytes), `silent` (none), or any other for success.
pub fn response(query: &[u8]) -> Option<Vec<u8>> {
    let length = usize::from(*query.get(HEADER)?);
    let label = query.get(HEADER + 1..HEADER + 1 + length)?;
    let mut message = query.to_vec();
    // It is a response, recursion is available, and the rest is as in the query.
    message[2] |= 0x80;
    message[3] = 0x80;
    match label {
        b"silent" => return None,
        b"nxdomain" => message[3] |= 3,
        b"servfail" => message[3] |= 2,
        b"truncated" => message[2] |= 2,
        b"large" => message.resize(4000, 0),
        _ => {}
    }
    Some(message)
}

/// A message as TCP carries it.
pub fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

/// A server of UDP and TCP on one port of one address; it ends when dropped.
pub struct Server {
    pub address: SocketAddr,
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Serves at an address, on a port that is free for both.
    pub fn start(address: IpAddr) -> Self {
        loop {
            let listener = TcpListener::bind((address, 0)).unwrap();
            let address = listener.local_addr().unwrap();
            match UdpSocket::bind(address) {
                Ok(socket) => return Self::with(address, socket, listener),
                Err(error) => assert_eq!(error.kind(), ErrorKind::AddrInUse),
            }
        }
    }

    /// Serves at this address and port.
    pub fn at(address: SocketAddr) -> Self {
        Self::with(address, UdpSocket::bind(address).unwrap(), TcpListener::bind(address).unwrap())
    }

    fn with(address: SocketAddr, socket: UdpSocket, listener: TcpListener) -> Self {
        let (sent, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let threads = vec![
            std::thread::spawn({
                let (sent, stop) = (Arc::clone(&sent), Arc::clone(&stop));
                move || serve_udp(&socket, &sent, &stop)
            }),
            std::thread::spawn({
                let (sent, stop) = (Arc::clone(&sent), Arc::clone(&stop));
                move || serve_tcp(&listener, &sent, &stop)
            }),
        ];
        Self { address, sent, stop, threads }
    }

    /// How many responses it has sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn serve_udp(socket: &UdpSocket, sent: &AtomicU64, stop: &AtomicBool) {
    let mut buffer = [0; 4096];
    socket.set_read_timeout(Some(WINK)).unwrap();
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, peer)) = socket.recv_from(&mut buffer) else { continue };
        if let Some(response) = response(&buffer[..length])
            && socket.send_to(&response, peer).is_ok()
        {
            sent.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn serve_tcp(listener: &TcpListener, sent: &AtomicU64, stop: &AtomicBool) {
    listener.set_nonblocking(true).unwrap();
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).unwrap();
                serve_stream(stream, sent);
            }
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// Answers until the other side closes.
fn serve_stream(mut stream: TcpStream, sent: &AtomicU64) {
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut query).is_err() {
            return;
        }
        if let Some(response) = response(&query) {
            // Before the client can know of it.
            sent.fetch_add(1, Ordering::SeqCst);
            if stream.write_all(&framed(&response)).is_err() {
                return;
            }
        }
    }
}

/// A client of UDP with a socket of its own.
pub struct Client {
    socket: UdpSocket,
}

impl Client {
    /// One that asks this server.
    pub fn new(server: SocketAddr) -> Self {
        let any: IpAddr = if server.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        let socket = UdpSocket::bind((any, 0)).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self { socket }
    }

    /// Sends whatever it is.
    pub fn send(&self, message: &[u8]) {
        self.socket.send(message).unwrap();
    }

    /// The next answer.
    pub fn receive(&self) -> Vec<u8> {
        let mut buffer = [0; 8192];
        let length = self.socket.recv(&mut buffer).expect("an answer");
        buffer[..length].to_vec()
    }

    /// Asks, and waits for the answer.
    pub fn ask(&self, message: &[u8]) -> Vec<u8> {
        self.send(message);
        self.receive()
    }
}

/// What a run at a pace came to.
#[derive(Debug)]
pub struct Offered {
    pub queries: u64,
    pub bytes: u64,
    pub took: Duration,
}

/// Sends so many queries a second for so long, of names that `name` gives by their number, and reads what
/// comes back. No query is under a number that may still be waiting at its port.
pub fn offer(
    server: SocketAddr,
    per_second: u64,
    duration: Duration,
    name: impl Fn(u64) -> (String, u16),
) -> Offered {
    let client = Client::new(server);
    let reader = Client { socket: client.socket.try_clone().unwrap() };
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = [0; 4096];
            reader.socket.set_read_timeout(Some(WINK)).unwrap();
            while !stop.load(Ordering::Relaxed) {
                let _ = reader.socket.recv(&mut buffer);
            }
        });
        let (begin, mut queries, mut bytes) = (Instant::now(), 0, 0);
        while begin.elapsed() < duration {
            let due = begin.elapsed().min(duration).as_nanos() as u64 * per_second / 1_000_000_000;
            while queries < due {
                let (name, kind) = name(queries);
                let message = query(queries as u16, &name, kind);
                // A full queue of the interface, or an error that another packet's answer left behind.
                if client.socket.send(&message).is_ok() {
                    bytes += message.len() as u64;
                    queries += 1;
                }
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        let took = begin.elapsed();
        // The last answers are on their way.
        std::thread::sleep(2 * WINK);
        stop.store(true, Ordering::Relaxed);
        Offered { queries, bytes, took }
    })
}
