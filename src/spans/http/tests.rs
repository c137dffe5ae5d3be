use std::net::TcpListener;
use std::thread;

use super::*;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

/// What a server that answers so makes of one request, and the request.
fn exchange(answer: &[u8]) -> (Result<Response, HttpError>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = answer.to_vec();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut buffer = [0; 1024];
        while !request.ends_with(b"spans!") {
            let count = stream.read(&mut buffer).unwrap();
            assert_ne!(count, 0, "the request is not whole");
            request.extend(&buffer[..count]);
        }
        stream.write_all(&answer).unwrap();
        String::from_utf8(request).unwrap()
    });
    let response = client(port).post(b"spans!", Instant::now() + LONG);
    (response, server.join().unwrap())
}

fn client(port: u16) -> Client {
    let endpoint = Endpoint::below(&format!("http://127.0.0.1:{port}")).unwrap();
    Client::new(endpoint, &[("x-tenant".to_owned(), "one".to_owned())], false, Resolver::default())
}

#[test]
fn a_request_says_what_it_is() {
    let (response, request) = exchange(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(response.unwrap().status, 200);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "spans!");
    let mut lines: Vec<&str> = head.split("\r\n").collect();
    assert_eq!(lines.remove(0), "POST /v1/traces HTTP/1.1");
    lines.retain(|line| !line.starts_with("Host: 127.0.0.1:"));
    let agent = format!("User-Agent: bpftally/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        lines,
        [
            "Connection: close",
            "Content-Type: application/x-protobuf",
            &agent,
            "x-tenant: one",
            "Content-Length: 6",
        ]
    );
}

#[track_caller]
fn check(answer: &[u8], status: u16, body: &[u8]) {
    let response = exchange(answer).0.unwrap();
    assert_eq!((response.status, response.body.as_slice()), (status, body));
}

#[test]
fn bodies_end_where_their_headers_say() {
    check(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", 200, b"abc");
    check(b"HTTP/1.0 200 OK\r\n\r\nabcdef", 200, b"abcdef");
    check(b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"");
    check(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 Bad\r\nContent-Length: 1\r\n\r\nx", 400, b"x");
    check(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
        200,
        b"abc0123456789",
    );
}

#[test]
fn a_status_counts_though_its_body_breaks_off() {
    check(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nabc", 200, b"abc");
    check(b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", 503, b"abc");
    check(b"HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\nabc", 503, b"abc");
}

#[test]
fn headers_are_found_in_any_letters() {
    let answer = b"HTTP/1.1 503 No\r\nRETRY-After: 7\r\nContent-type: application/x-protobuf\r\n\r\n";
    let response = exchange(answer).0.unwrap();
    assert_eq!(response.retry_after(), Some(Duration::from_secs(7)));
    assert!(response.is_protobuf());
}

#[track_caller]
fn check_failure(answer: &[u8], reason: &str) {
    let error = exchange(answer).0.unwrap_err();
    assert_eq!(error.reason(), reason, "{error}");
}

#[test]
fn what_is_no_answer_is_an_error() {
    check_failure(b"", "connection");
    check_failure(b"HTTP/1.1 200", "connection");
    check_failure(b"SSH-2.0-OpenSSH_9.2\r\n", "response");
    check_failure(b"\x00\x00\x12\x04\x00", "response");
    check_failure(&[b"HTTP/1.1 200 OK\r\n".as_slice(), &b"a: b\r\n".repeat(5000)].concat(), "response");
}

#[test]
fn a_long_body_is_not_read_to_its_end() {
    let answer = [b"HTTP/1.0 400 No\r\n\r\n".as_slice(), &vec![b'x'; 300_000]].concat();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(&answer);
    });
    let response = client(port).post(b"spans!", Instant::now() + LONG).unwrap();
    assert_eq!((response.status, response.body.len()), (400, MOST_BODY));
    server.join().unwrap();
}

#[test]
fn who_refuses_early_is_heard() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // One byte is read, so that closing resets the connection under the rest of the request.
        stream.read_exact(&mut [0]).unwrap();
        stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        io::copy(&mut stream, &mut io::sink()).unwrap();
    });
    let response = client(port).post(&vec![0; 8 << 20], Instant::now() + LONG).unwrap();
    assert_eq!(response.status, 413);
    server.join().unwrap();
}

#[test]
fn nobody_is_waited_for_beyond_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let error = client(port).post(b"spans!", Instant::now() + Duration::from_millis(50)).unwrap_err();
    assert_eq!(error.reason(), "timeout");
    let error = client(port).post(b"spans!", Instant::now()).unwrap_err();
    assert_eq!(error.reason(), "timeout");
    drop(listener);
    let error = client(port).post(b"spans!", Instant::now() + LONG).unwrap_err();
    assert_eq!(error.reason(), "connect");
}

proptest::proptest! {
    #[test]
    fn any_bytes_can_be_a_body_in_chunks(bytes: Vec<u8>, size in 0u64..40) {
        let chunk = [format!("{size:x}\r\n").as_bytes(), &bytes].concat();
        let (body, _) = unchunked(&chunk);
        proptest::prop_assert!(body.len() <= chunk.len());
        let _ = head(&[b"HTTP/1.1 200 OK\r\n".as_slice(), &bytes].concat());
    }
}
