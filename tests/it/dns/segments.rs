//! TCP, which cuts a stream into segments as it likes: which messages are seen, and that no cut makes a fault.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::{LOCAL, Observer, Page};
use crate::common::dns::{A, AAAA, framed, query};

/// A client and its server, of whom each segment goes when it is told to.
struct Pair {
    client: TcpStream,
    server: TcpStream,
    observer: Observer,
}

impl Pair {
    fn new() -> Self {
        let listener = TcpListener::bind((LOCAL, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let observer = Observer::of_port(address.port());
        let client = TcpStream::connect(address).unwrap();
        client.set_nodelay(true).unwrap();
        Self { client, server: listener.accept().unwrap().0, observer }
    }

    /// Sends one segment, which has come when this returns.
    fn send(&mut self, segment: &[u8]) {
        self.client.write_all(segment).unwrap();
        self.server.read_exact(&mut vec![0; segment.len()]).unwrap();
    }
}

/// What the segments of one connection count as: queries of two types, and faults by their names.
#[track_caller]
fn check(segments: &[&[u8]], queries: [f64; 2], faults: &[(&str, f64)]) -> Page {
    let mut pair = Pair::new();
    segments.iter().for_each(|segment| pair.send(segment));
    let page = pair.observer.page();
    let of = |kind: &str| {
        page.value(&format!("queries_total{{protocol=\"tcp\",role=\"client\",type=\"{kind}\"}}"))
    };
    assert_eq!([of("A"), of("AAAA")], queries);
    for (fault, count) in faults {
        let series = format!("malformed_total{{fault=\"{fault}\",protocol=\"tcp\",role=\"client\"}}");
        assert_eq!(page.value(&series), *count, "{fault}");
    }
    assert_eq!(page.sum("malformed_total"), faults.iter().map(|(_, count)| count).sum::<f64>());
    assert_eq!(page.sum("queries_total"), queries.iter().sum::<f64>());
    page.assert_adds_up();
    page
}

#[test]
fn one_message_in_a_segment_counts() {
    let (one, two) = (framed(&query(1, "www.example.com", A)), framed(&query(2, "www.example.com", AAAA)));
    let page = check(&[&one, &two, &one], [2.0, 1.0], &[]);
    assert_eq!(page.sum("query_bytes_total"), 3.0 * (one.len() - 2) as f64);
}

#[test]
fn of_messages_in_one_segment_the_first_counts() {
    let (one, two) = (framed(&query(1, "www.example.com", A)), framed(&query(2, "www.example.com", AAAA)));
    let page = check(&[&[one.as_slice(), &two, &two].concat(), &two], [1.0, 1.0], &[]);
    assert_eq!(page.sum("query_bytes_total"), (one.len() + two.len() - 4) as f64);
}

#[test]
fn a_message_is_seen_where_its_question_is() {
    let message = framed(&query(0x1234, "www.example.com", A));
    // The length by itself, and within it; in the header, in the name, before the end of the question.
    for (cut, seen) in [(1, 0.0), (2, 0.0), (10, 0.0), (20, 0.0), (message.len() - 1, 0.0)] {
        let (head, tail) = message.split_at(cut);
        check(&[head, tail], [seen, 0.0], &[]);
    }
    // What follows the question may come later, and is no message by itself.
    let mut long = query(1, "www.example.com", A);
    let question = long.len() + 2;
    long.resize(400, 0);
    let long = framed(&long);
    let page = check(&[&long[..question], &long[question..300], &long[300..]], [1.0, 0.0], &[]);
    assert_eq!(page.sum("query_bytes_total"), 400.0);
}

#[test]
fn what_fills_a_segment_and_is_no_message_is_a_fault() {
    let good = query(1, "www.example.com", A);
    let with_name = |name: &[u8]| framed(&[&good[..12], name, &[0, 1, 0, 1]].concat());
    let loops = with_name(&[0xc0, 12]);
    let ahead = with_name(&[3, b'a', b'b', b'c', 0xc0, 0xff]);
    let short = framed(&good[..good.len() - 2]);
    let answer = framed(&[&good[..2], &[0x81], &good[3..]].concat());
    let faults = [("name", 2.0), ("question", 1.0), ("direction", 1.0)];
    check(&[&loops, &ahead, &short, &answer, &framed(&good)], [1.0, 0.0], &faults);
    // Lengths that cannot be, and what is no DNS.
    check(&[&[0; 40], &[0xff; 40], b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"], [0.0, 0.0], &[]);
}
