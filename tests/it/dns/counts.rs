use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::{LOCAL, LOCAL_6, Observer};
use crate::common::dns::{A, AAAA, Client, HTTPS, Server, framed, offer, query, response};

/// Asks over TCP; the whole answer is read.
pub fn ask_stream(stream: &mut TcpStream, message: &[u8]) {
    stream.write_all(&framed(message)).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    stream.read_exact(&mut vec![0; usize::from(u16::from_be_bytes(length))]).unwrap();
}

/// Asks each of these many times over UDP and TCP.
fn ask(server: SocketAddr, questions: &[(&str, u16, u16)]) {
    let client = Client::new(server);
    let mut stream = TcpStream::connect(server).unwrap();
    for (name, kind, times) in questions {
        for id in 0..*times {
            client.ask(&query(id, name, *kind));
            ask_stream(&mut stream, &query(id, name, *kind));
        }
    }
}

#[track_caller]
fn check_loopback(server: &Server) {
    let observer = Observer::of(server);
    let questions = [
        ("www.example.com", A, 50),
        ("www.example.com", AAAA, 40),
        ("nxdomain.example.com", A, 30),
        ("servfail.example.com", HTTPS, 20),
        ("truncated.example.com", A, 10),
        ("", 2, 5),
        // A type of nobody, which has no label of its own.
        ("www.example.com", 4711, 3),
    ];
    ask(server.address, &questions);

    let page = observer.page();
    for protocol in ["udp", "tcp"] {
        let side = format!("protocol=\"{protocol}\",");
        let queries =
            |kind: &str| page.value(&format!("queries_total{{{side}role=\"client\",type=\"{kind}\"}}"));
        let counts = ["A", "AAAA", "HTTPS", "NS", "other"].map(queries);
        assert_eq!(counts, [90.0, 40.0, 20.0, 5.0, 3.0], "{protocol}");
        let responses = |rcode: &str, kind: &str| {
            page.value(&format!("responses_total{{{side}rcode=\"{rcode}\",role=\"client\",type=\"{kind}\"}}"))
        };
        assert_eq!(responses("NOERROR", "A"), 60.0);
        assert_eq!(responses("NXDOMAIN", "A"), 30.0);
        assert_eq!(responses("SERVFAIL", "HTTPS"), 20.0);
        assert_eq!(responses("NOERROR", "NS"), 5.0);
        assert_eq!(page.value(&format!("responses_truncated_total{{{side}role=\"client\"}}")), 10.0);
        let latency =
            |part: &str| page.value(&format!("response_latency_seconds_{part}{{{side}role=\"client\"}}"));
        assert_eq!(latency("count"), 158.0);
        assert!(latency("sum") > 0.0 && latency("sum") < 60.0, "{}", latency("sum"));
    }
    // Twice each, and nothing from the server's socket.
    assert_eq!(page.sum("queries_total"), 316.0);
    assert_eq!(page.sum("responses_total"), server.sent() as f64);
    let bytes = |message: fn(&[u8]) -> Option<Vec<u8>>| -> usize {
        let of = |(name, kind, times): &(&str, u16, u16)| {
            2 * usize::from(*times) * message(&query(0, name, *kind)).unwrap().len()
        };
        questions.iter().map(of).sum()
    };
    assert_eq!(page.sum("query_bytes_total"), bytes(|query| Some(query.to_vec())) as f64);
    assert_eq!(page.sum("response_bytes_total"), bytes(response) as f64);
    for family in
        ["queries_unanswered_total", "responses_unmatched_total", "malformed_total", "queries_pending"]
    {
        assert_eq!(page.sum(family), 0.0, "{family}");
    }
    page.assert_adds_up();
}

#[test]
fn every_message_on_loopback_counts_once() {
    check_loopback(&Server::start(LOCAL));
    check_loopback(&Server::start(LOCAL_6));
}

/// As fast as this machine can.
#[test]
fn a_flood_adds_up() {
    let server = Server::start(LOCAL);
    let observer = Observer::of(&server);
    let names = ["a.example.com", "nxdomain.example.com", "servfail.example.com"];
    let offered = offer(server.address, 20_000, Duration::from_secs(2), |number| {
        (names[number as usize % names.len()].to_owned(), if number % 2 == 0 { A } else { AAAA })
    });
    let page = observer.page();
    assert!(offered.queries > 100, "{offered:?}");
    assert_eq!(page.sum("queries_total"), offered.queries as f64);
    assert_eq!(page.sum("query_bytes_total"), offered.bytes as f64);
    // Those that a full queue lost on the way to the server were never answered, and those on the way back were.
    assert_eq!(page.sum("responses_total"), server.sent() as f64);
    page.assert_adds_up();
}

/// A server over TCP may ask and answer many times in one connection, and write more than one segment.
#[test]
fn long_answers_over_tcp_are_one_message() {
    let server = Server::start(LOCAL);
    let observer = Observer::of(&server);
    let mut stream = TcpStream::connect(server.address).unwrap();
    for id in 0..100 {
        ask_stream(&mut stream, &query(id, "large.example.com", A));
    }
    let page = observer.page();
    assert_eq!((page.sum("queries_total"), page.sum("responses_total")), (100.0, 100.0));
    assert_eq!(page.sum("response_bytes_total"), 400_000.0);
    assert_eq!(page.sum("malformed_total"), 0.0);
    page.assert_adds_up();
}
