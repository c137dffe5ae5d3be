//! A client over one connection that stays open, as Prometheus is one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

pub struct Client {
    stream: BufReader<TcpStream>,
    request: String,
    body: Vec<u8>,
}

impl Client {
    pub fn new(address: &str, path: &str, coding: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\nAccept-Encoding: {coding}\r\n\r\n");
        Self { stream: BufReader::with_capacity(256 << 10, stream), request, body: Vec::new() }
    }

    /// One request; the bytes of the body.
    pub fn get(&mut self) -> usize {
        self.stream.get_mut().write_all(self.request.as_bytes()).unwrap();
        let (mut length, mut is_chunked) = (0, false);
        loop {
            let line = self.line().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            assert!(!line.starts_with("http/1.1 ") || line.contains(" 200"), "{line}");
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().unwrap();
            }
            is_chunked |= line == "transfer-encoding: chunked";
        }
        if !is_chunked {
            self.take(length);
            return length;
        }
        let mut total = 0;
        loop {
            let line = self.line();
            let size = usize::from_str_radix(line.trim(), 16).unwrap();
            self.take(size);
            self.line();
            if size == 0 {
                return total;
            }
            total += size;
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn take(&mut self, mut length: usize) {
        self.body.resize(256 << 10, 0);
        while length > 0 {
            let wanted = length.min(self.body.len());
            let read = self.stream.read(&mut self.body[..wanted]).unwrap();
            assert!(read > 0, "the connection was closed");
            length -= read;
        }
    }
}

/// What some work gives, and how long it takes.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let result = work();
    (result, began.elapsed())
}

/// How long all clients take that ask at the same time.
pub fn all_at_once(clients: &mut [Client]) -> Duration {
    if let [only] = clients {
        return timed(|| only.get()).1;
    }
    timed(|| {
        std::thread::scope(|scope| {
            for client in clients {
                scope.spawn(|| client.get());
            }
        });
    })
    .1
}
