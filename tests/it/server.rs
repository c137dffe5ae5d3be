//! HTTP over real sockets: what slow and hostile clients can do, and what they cannot.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bpftally::server::{
    self, BrokenOff, Bytes, Cut, Cuts, Handler, Limits, Page, Reply, Request, Response, Rest, Routes, Server,
};

/// No test waits longer for anything that has to happen.
const PATIENCE: Duration = Duration::from_secs(60);

const fn milliseconds(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Answers by a function, and counts who was cut.
struct By<F>(F, Arc<Cuts>);

impl<F: Fn(&Request) -> Response + Send + Sync + 'static> Handler for By<F> {
    fn answer(&self, request: &Request, reply: Reply) {
        reply.send((self.0)(request));
    }

    fn cut(&self, cut: Cut) {
        self.1.count(cut);
    }
}

struct Running {
    server: Server,
    address: SocketAddr,
    cuts: Arc<Cuts>,
}

fn start(limits: Limits, answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Routes { telemetry_path: "/metrics".into(), debug: false, lifecycle: false };
    let cuts = Arc::<Cuts>::default();
    let handler = Arc::new(By(answer, cuts.clone()));
    let server = server::start(vec![listener.into()], handler, routes, limits).unwrap();
    Running { server, address, cuts }
}

fn hello(request: &Request) -> Response {
    match request.page {
        Page::Ready => Response::text(503, "not ready\n"),
        _ => Response::new(200, "text/plain", "hello\n"),
    }
}

/// A page that no socket buffer holds.
fn huge() -> Response {
    let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
    let mut response = Response::new(200, "text/plain", "");
    response.chunks = vec![chunk; 512];
    response
}

impl Running {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        stream
    }

    /// Sends bytes and reads until the server closes; how it closes is of no interest.
    fn ask(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may close before it has taken all of it.
        let _ = stream.write_all(bytes);
        read_all(stream)
    }

    fn get(&self, path: &str) -> String {
        self.ask(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
    }

    /// Waits until so many were cut: for not reading, for a slow request, for others' sake.
    #[track_caller]
    fn check_cut(&self, expected: [u64; 3]) {
        let begin = Instant::now();
        let counts = || self.cuts.counts().into_iter().map(|(_, count)| count).collect::<Vec<_>>();
        while counts() != expected {
            assert!(begin.elapsed() < PATIENCE, "{:?}, expected {expected:?}", counts());
            std::thread::sleep(milliseconds(5));
        }
    }

    #[track_caller]
    fn check_healthy(&self) {
        let begin = Instant::now();
        let answer = self.get("/-/healthy");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(begin.elapsed() < Duration::from_secs(10), "healthy only after {:?}", begin.elapsed());
    }
}

fn read_all(mut stream: impl Read) -> String {
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_ne!(error.kind(), ErrorKind::WouldBlock, "the server did not close");
    }
    String::from_utf8(answer).unwrap()
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

/// Reads one response with a known length, leaving the connection open.
fn read_one(stream: &mut impl Read) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    (head, body)
}

/// Waits until the server has closed the connection; says how long that took.
#[track_caller]
fn wait_for_close(mut stream: &TcpStream, since: Instant) -> Duration {
    let mut rest = [0; 64 * 1024];
    loop {
        match stream.read(&mut rest) {
            Ok(0) => return since.elapsed(),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return since.elapsed(),
            Err(error) => panic!("the server did not close: {error}"),
        }
    }
}

/// Holds requests until the test lets them go.
fn gate() -> (mpsc::Sender<()>, mpsc::Receiver<()>, impl Fn() + Send + Sync + 'static) {
    let (open, opened) = mpsc::channel::<()>();
    let (arrive, arrived) = mpsc::channel();
    let opened = Mutex::new(opened);
    let pass = move || {
        arrive.send(()).unwrap();
        let _ = opened.lock().unwrap().recv_timeout(PATIENCE);
    };
    (open, arrived, pass)
}

#[test]
fn get_has_a_body_and_head_only_its_length() {
    let running = start(Limits::default(), hello);
    let answer = running.get("/metrics?collect=all");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.contains("content-length: 6\r\n") && answer.contains("content-type: text/plain\r\n"),
        "{answer}"
    );
    assert!(answer.contains("date: ") && answer.ends_with("\r\n\r\nhello\n"), "{answer}");
    for path in ["/metrics", "/"] {
        let head = format!("HEAD {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = running.ask(head.as_bytes());
        assert!(answer.contains("content-length: 6\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    }
    running.server.stop();
}

#[test]
fn old_clients_and_half_closed_ones_are_served() {
    let running = start(Limits::default(), hello);
    let answer = running.ask(b"GET /metrics HTTP/1.0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("hello\n"), "{answer}");
    let stream = running.send(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(read_all(stream).ends_with("hello\n"));
    running.server.stop();
}

#[test]
fn requests_can_share_a_connection_and_be_pipelined() {
    let running = start(Limits::default(), hello);
    let request = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut stream = running.send(&request.repeat(3));
    for _ in 0..3 {
        assert_eq!(read_one(&mut stream).1, b"hello\n");
    }
    for _ in 0..3 {
        stream.write_all(request).unwrap();
        assert_eq!(read_one(&mut stream).1, b"hello\n");
    }
    running.server.stop();
}

#[test]
fn what_is_not_served_is_explained() {
    let running = start(Limits::default(), hello);
    let answer = running.get("/metrix");
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("/metrics"), "{answer}");
    let answer = running.get("/maps");
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("--debug"), "{answer}");
    let answer = running
        .ask(b"POST /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello");
    assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: GET, HEAD\r\n"), "{answer}");
    assert!(running.get("/-/ready").starts_with("HTTP/1.1 503 "));
    running.check_healthy();
    running.server.stop();
}

#[test]
fn the_handler_learns_what_the_client_wants() {
    let (seen, requests) = mpsc::channel();
    let running = start(Limits::default(), move |request: &Request| {
        seen.send(request.clone()).unwrap();
        hello(request)
    });
    running.ask(
        b"GET /metrics HTTP/1.1\r\nhost: x\r\nAccept: a;q=0.5\r\naccept: b\r\nAccept-Encoding: gzip\r\n\
          X-Prometheus-Scrape-Timeout-Seconds: 2.5\r\nconnection: close\r\n\r\n",
    );
    let request = requests.recv_timeout(PATIENCE).unwrap();
    assert_eq!(request.page, Page::Metrics);
    assert_eq!(request.accept.as_deref(), Some("a;q=0.5, b"));
    assert_eq!(request.accept_encoding.as_deref(), Some("gzip"));
    assert_eq!(request.timeout, Some(milliseconds(2_500)));
    running.server.stop();
}

#[test]
fn garbage_is_refused_quickly() {
    let running = start(Limits::default(), hello);
    let mut huge_url = b"GET /".to_vec();
    huge_url.resize(1 << 20, b'a');
    let mut many_headers = b"GET /metrics HTTP/1.1\r\n".to_vec();
    many_headers.extend(b"x: y\r\n".repeat(500));
    many_headers.extend(b"\r\n");
    let tls_hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdefghijklmnop\r\n\r\n";
    let cases: [&[u8]; 9] = [
        &huge_url,
        &many_headers,
        tls_hello,
        &[0; 4096],
        &[0xff; 100_000],
        b"\r\n\r\nGET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nbad header\r\n\r\n",
    ];
    for (index, bytes) in cases.into_iter().enumerate() {
        let begin = Instant::now();
        let answer = running.ask(bytes);
        assert!(begin.elapsed() < Duration::from_secs(20), "case {index} took {:?}", begin.elapsed());
        assert!(!answer.contains("hello"), "case {index}: {answer}");
    }
    running.check_healthy();
    running.server.stop();
}

#[test]
fn slow_heads_are_cut_while_others_are_served() {
    let limits = Limits { header_timeout: Some(milliseconds(500)), ..Limits::default() };
    let running = start(limits, hello);
    let begin = Instant::now();
    let silent = running.connect();
    let mut slow = running.send(b"GET /metrics HTTP/1.1\r\n");
    let trickle = std::thread::spawn(move || {
        // Each byte comes well within the timeout: only the whole head counts.
        while slow.write_all(b"x").is_ok() && begin.elapsed() < PATIENCE {
            std::thread::sleep(milliseconds(50));
        }
        begin.elapsed()
    });
    running.check_healthy();
    assert!(wait_for_close(&silent, begin) >= milliseconds(450));
    assert!(trickle.join().unwrap() < Duration::from_secs(30));
    running.check_cut([0, 2, 0]);
    running.server.stop();
}

#[test]
fn idle_connections_are_closed() {
    let limits = Limits { idle_timeout: Some(milliseconds(300)), ..Limits::default() };
    let running = start(limits, hello);
    let mut stream = running.send(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
    let begin = Instant::now();
    read_one(&mut stream);
    let took = wait_for_close(&stream, begin);
    assert!(took >= milliseconds(250) && took < Duration::from_secs(30), "{took:?}");
    running.check_cut([0, 0, 0]);
    running.server.stop();
}

#[test]
fn who_does_not_read_is_cut_while_others_are_served() {
    let limits = Limits { write_timeout: Some(milliseconds(500)), ..Limits::default() };
    let running =
        start(limits, |request| if request.page == Page::Metrics { huge() } else { hello(request) });
    let begin = Instant::now();
    let mut deaf = running.send(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
    // A reader beside it gets all of a page of the same size.
    assert_eq!(body(&running.get("/metrics")).len(), 512 * 64 * 1024);
    running.check_healthy();
    // The reset shows in writing: reading first would be what the server waits for.
    while deaf.write_all(b"x").is_ok() {
        assert!(begin.elapsed() < PATIENCE, "the client is still connected");
        std::thread::sleep(milliseconds(50));
    }
    assert!(begin.elapsed() >= milliseconds(450), "{:?}", begin.elapsed());
    running.check_cut([1, 0, 0]);
    running.server.stop();
}

#[test]
fn a_slow_reader_that_makes_progress_gets_everything() {
    let limits = Limits { write_timeout: Some(milliseconds(1_000)), ..Limits::default() };
    let running = start(limits, |_| huge());
    let mut stream = running.send(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let (mut piece, mut total) = (vec![0; 1 << 20], 0);
    let begin = Instant::now();
    loop {
        match stream.read(&mut piece).unwrap() {
            0 => break,
            count => total += count,
        }
        if begin.elapsed() < milliseconds(2_500) {
            std::thread::sleep(milliseconds(100));
        }
    }
    assert!(total > 512 * 64 * 1024, "{total}");
    running.server.stop();
}

#[test]
fn a_new_client_is_served_when_all_connections_are_taken_by_idle_ones() {
    let limits = Limits { max_connections: 4, ..Limits::default() };
    let running = start(limits, hello);
    let idle: Vec<TcpStream> = (0..40).map(|_| running.send(b"GET /metrics HTTP/1.1\r\n")).collect();
    running.check_healthy();
    assert!(running.get("/metrics").ends_with("hello\n"));
    // The oldest went first.
    wait_for_close(&idle[0], Instant::now());
    running.server.stop();
}

#[test]
fn a_client_is_refused_when_all_connections_are_being_answered() {
    let (open, arrived, pass) = gate();
    let limits = Limits { max_connections: 2, ..Limits::default() };
    let running = start(limits, move |request| {
        pass();
        hello(request)
    });
    let held: Vec<TcpStream> = (0..2)
        .map(|_| {
            let stream = running.send(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            arrived.recv_timeout(PATIENCE).unwrap();
            stream
        })
        .collect();
    let answer = running.get("/-/healthy");
    assert!(answer.starts_with("HTTP/1.1 503 ") || answer.is_empty(), "{answer}");
    drop(open);
    for stream in held {
        assert!(read_all(stream).ends_with("hello\n"));
    }
    running.check_healthy();
    running.server.stop();
}

#[test]
fn slow_scrapes_do_not_hold_up_the_small_pages() {
    let (open, arrived, pass) = gate();
    let limits = Limits { workers: 2, queue_timeout: milliseconds(300), ..Limits::default() };
    let running = start(limits, move |request| {
        if request.page == Page::Metrics {
            pass();
        }
        hello(request)
    });
    let request = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let held: Vec<TcpStream> = (0..2).map(|_| running.send(request)).collect();
    for _ in &held {
        arrived.recv_timeout(PATIENCE).unwrap();
    }
    running.check_healthy();
    assert!(running.get("/-/ready").ends_with("not ready\n"));
    assert!(running.get("/").ends_with("hello\n"));
    // A third scrape waits for its turn, and no longer than it may.
    let begin = Instant::now();
    let answer = running.get("/metrics");
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after"), "{answer}");
    assert!(begin.elapsed() >= milliseconds(250) && begin.elapsed() < Duration::from_secs(30));
    drop(open);
    for stream in held {
        assert!(read_all(stream).ends_with("hello\n"));
    }
    running.server.stop();
}

#[test]
fn many_scrapes_of_one_client_wait_for_their_turn() {
    let (open, arrived, pass) = gate();
    let limits = Limits { max_pages_of_client: 1, ..Limits::default() };
    let running = start(limits, move |request| {
        pass();
        hello(request)
    });
    let held: Vec<TcpStream> = (0..50)
        .map(|_| running.send(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
        .collect();
    arrived.recv_timeout(PATIENCE).unwrap();
    assert!(arrived.recv_timeout(milliseconds(100)).is_err(), "one at a time");
    drop(open);
    for stream in held {
        assert!(read_all(stream).ends_with("hello\n"));
    }
    running.server.stop();
}

#[test]
fn a_client_that_never_comes_to_its_turn_is_told() {
    let (open, arrived, pass) = gate();
    let limits = Limits { max_pages_of_client: 1, queue_timeout: milliseconds(300), ..Limits::default() };
    let running = start(limits, move |request| {
        pass();
        hello(request)
    });
    let held = running.send(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    arrived.recv_timeout(PATIENCE).unwrap();
    assert!(running.get("/metrics").starts_with("HTTP/1.1 503 "));
    drop(open);
    assert!(read_all(held).ends_with("hello\n"));
    running.server.stop();
}

#[test]
fn memory_held_by_deaf_clients_is_given_to_others() {
    let limits = Limits { max_pages: 2, write_timeout: None, ..Limits::default() };
    let running = start(limits, |_| huge());
    let deaf: Vec<TcpStream> =
        (0..2).map(|_| running.send(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")).collect();
    // Without a write timeout only the bound on pages can end one of them.
    assert_eq!(body(&running.get("/metrics")).len(), 512 * 64 * 1024);
    running.check_cut([0, 0, 1]);
    drop(deaf);
    running.server.stop();
}

/// A connection from another address of this host.
fn connect_from(last: u8, to: SocketAddr) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType};
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
    rustix::net::connect(&socket, &to).unwrap();
    TcpStream::from(socket)
}

#[test]
fn a_hostile_host_does_not_hold_up_the_scrapes_of_others() {
    let limits = Limits { max_connections: 64, write_timeout: None, ..Limits::default() };
    let running = start(limits, |request| {
        std::thread::sleep(milliseconds(20));
        if request.page == Page::Metrics { huge() } else { hello(request) }
    });
    let deaf: &[u8] = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n";
    let slow: &[u8] = b"GET /metrics HTTP/1.1\r\n";
    let mut hostile = Vec::new();
    let begin = Instant::now();
    for _ in 0..10 {
        for index in 0..30 {
            let mut stream = connect_from(2, running.address);
            // It may have been refused already.
            let _ = stream.write_all(if index % 2 == 0 { deaf } else { slow });
            hostile.push(stream);
        }
        // Where all connections are being answered, which takes a slow machine, a client is asked to come again.
        while body(&running.get("/metrics")).len() != 512 * 64 * 1024 {
            assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
        }
        running.check_healthy();
    }
    assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
    running.server.stop();
}

#[test]
fn a_handler_that_panics_costs_its_request_alone() {
    let running = start(Limits::default(), |request| {
        assert!(request.page != Page::Metrics, "a test panics here on purpose");
        hello(request)
    });
    assert!(running.get("/metrics").starts_with("HTTP/1.1 500 "));
    assert!(running.get("/").ends_with("hello\n"));
    running.server.stop();
}

#[test]
fn answers_that_http_does_not_allow_do_no_harm() {
    let running = start(Limits::default(), |_| {
        Response::new(9, "text/plain\r\nevil: 1", "x").header("bad name", "x").header("good", "yes")
    });
    let answer = running.get("/metrics");
    assert!(answer.starts_with("HTTP/1.1 500 ") && answer.contains("good: yes\r\n"), "{answer}");
    assert!(!answer.contains("evil"), "{answer}");
    running.server.stop();
}

#[test]
fn the_end_waits_for_responses_and_not_for_idle_clients() {
    let (open, arrived, pass) = gate();
    let limits = Limits { drain_timeout: PATIENCE, ..Limits::default() };
    let Running { server, address, .. } = start(limits, move |request| {
        pass();
        hello(request)
    });
    let running = |stream: TcpStream| {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let idle = running(TcpStream::connect(address).unwrap());
    let mut half = running(TcpStream::connect(address).unwrap());
    half.write_all(b"GET /met").unwrap();
    let mut asked = running(TcpStream::connect(address).unwrap());
    asked.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    arrived.recv_timeout(PATIENCE).unwrap();
    let begin = Instant::now();
    let end = std::thread::spawn(move || server.stop());
    wait_for_close(&idle, begin);
    wait_for_close(&half, begin);
    drop(open);
    assert!(read_all(asked).ends_with("hello\n"));
    end.join().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn the_end_is_bounded() {
    let (open, arrived, pass) = gate();
    let limits = Limits { drain_timeout: milliseconds(300), ..Limits::default() };
    let running = start(limits, move |request| {
        if request.page == Page::Metrics {
            return huge();
        }
        pass();
        hello(request)
    });
    let _deaf = running.send(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
    let _stuck = running.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    arrived.recv_timeout(PATIENCE).unwrap();
    let begin = Instant::now();
    running.server.stop();
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
    drop(open);
}

#[test]
fn a_unix_socket_is_served_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = server::Listener::Unix(UnixListener::bind(&path).unwrap());
    let routes = Routes { telemetry_path: "/metrics".into(), debug: false, lifecycle: false };
    let server =
        server::start(vec![listener], Arc::new(By(hello, Arc::default())), routes, Limits::default())
            .unwrap();
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    assert!(read_all(stream).ends_with("hello\n"));
    server.stop();
}

/// What comes next of a body; none is its end.
type Next = Option<Result<Bytes, BrokenOff>>;

/// What of a body is still to come, and who waits for it.
#[derive(Default)]
struct Feed(Mutex<(VecDeque<Next>, Option<Waker>)>);

impl Feed {
    fn put(&self, chunk: Next) {
        let mut feed = self.0.lock().unwrap();
        feed.0.push_back(chunk);
        if let Some(waker) = feed.1.take() {
            waker.wake();
        }
    }

    fn text(&self, text: &'static str) {
        self.put(Some(Ok(Bytes::from_static(text.as_bytes()))));
    }
}

struct Fed(Arc<Feed>);

impl Rest for Fed {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        let mut feed = self.0.0.lock().unwrap();
        match feed.0.pop_front() {
            Some(chunk) => Poll::Ready(chunk),
            None => {
                feed.1 = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// A server whose metrics begin with «one» and go on as they are fed; other pages are whole.
fn start_fed(limits: Limits) -> (Running, Arc<Feed>) {
    let feed = Arc::<Feed>::default();
    let fed = Arc::clone(&feed);
    let running = start(limits, move |request| match request.page {
        Page::Metrics => {
            let rest = Some(Box::new(Fed(Arc::clone(&fed))) as Box<dyn Rest>);
            Response { rest, ..Response::new(200, "text/plain", "one\n") }
        }
        _ => hello(request),
    });
    (running, feed)
}

#[test]
fn a_body_that_is_made_while_it_is_sent_comes_in_chunks() {
    let (running, feed) = start_fed(Limits::default());
    feed.text("two\n");
    feed.text("three\n");
    feed.put(None);
    // The connection can be used again.
    let answer = running.ask(
        b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    );
    let (first, rest) = answer.split_once("\r\n\r\n").unwrap();
    assert!(first.contains("transfer-encoding: chunked") && !first.contains("content-length"), "{first}");
    assert!(rest.starts_with("4\r\none\n\r\n4\r\ntwo\n\r\n6\r\nthree\n\r\n0\r\n\r\nHTTP/1.1 200"), "{rest}");
    assert!(rest.ends_with("\r\n\r\nhello\n"), "{rest}");
}

#[test]
fn old_clients_take_the_end_of_the_connection_for_the_end_of_such_a_body() {
    let (running, feed) = start_fed(Limits::default());
    feed.text("two\n");
    feed.put(None);
    let answer = running.ask(b"GET /metrics HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
    assert!(!answer.contains("transfer-encoding") && !answer.contains("content-length"), "{answer}");
    assert_eq!(body(&answer), "one\ntwo\n");
}

#[test]
fn a_head_does_not_wait_for_such_a_body() {
    let (running, feed) = start_fed(Limits::default());
    let answer = running.ask(
        b"HEAD /metrics HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nhello\n"), "{answer}");
    assert_eq!(Arc::strong_count(&feed), 2, "the body is let go");
}

#[test]
fn a_body_that_breaks_off_does_not_look_whole() {
    #[track_caller]
    fn check(version: &str, cut: Option<Cut>, cuts: [u64; 3]) {
        let (running, feed) = start_fed(Limits::default());
        let mut stream = running.send(format!("GET /metrics HTTP/{version}\r\nhost: x\r\n\r\n").as_bytes());
        let mut some = [0; 4096];
        let mut answer = String::new();
        while !answer.contains("one\n") {
            let count = stream.read(&mut some).unwrap();
            answer.push_str(std::str::from_utf8(&some[..count]).unwrap());
        }
        feed.put(Some(Err(BrokenOff(cut))));
        let mut rest = Vec::new();
        let error = stream.read_to_end(&mut rest).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{version}");
        assert!(!rest.ends_with(b"0\r\n\r\n"));
        running.check_cut(cuts);
        running.check_healthy();
    }
    check("1.1", None, [0, 0, 0]);
    check("1.0", None, [0, 0, 0]);
    check("1.1", Some(Cut::NeededByOthers), [0, 0, 1]);
}

#[test]
fn who_waits_for_the_rest_of_a_body_is_not_cut_and_who_does_not_read_it_is() {
    let limits = Limits { write_timeout: Some(milliseconds(500)), ..Limits::default() };
    let (running, feed) = start_fed(limits);
    let patient = running.send(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    for _ in 0..3 {
        std::thread::sleep(milliseconds(600));
        feed.text("more\n");
    }
    feed.put(None);
    assert!(read_all(patient).ends_with("0\r\n\r\n"));
    running.check_cut([0, 0, 0]);
    let deaf = running.send(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
    let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
    (0..512).for_each(|_| feed.put(Some(Ok(chunk.clone()))));
    running.check_cut([1, 0, 0]);
    wait_for_close(&deaf, Instant::now());
    let begin = Instant::now();
    while Arc::strong_count(&feed) > 2 {
        assert!(begin.elapsed() < PATIENCE, "the body is let go");
        std::thread::sleep(milliseconds(5));
    }
}
