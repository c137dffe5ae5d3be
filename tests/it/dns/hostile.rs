use std::net::UdpSocket;

use super::{LOCAL, Observer};
use crate::common::dns::{A, Client, query, response};

/// Two sockets of which neither has anything to say by itself, and who looks at the second one's port.
fn pair() -> (Client, UdpSocket, Observer) {
    let server = UdpSocket::bind((LOCAL, 0)).unwrap();
    let address = server.local_addr().unwrap();
    (Client::new(address), server, Observer::of_port(address.port()))
}

/// A question whose name is these bytes.
fn with_name(name: &[u8], behind: &[u8]) -> Vec<u8> {
    let mut message = query(1, "", A)[..12].to_vec();
    message.extend(name);
    message.extend(behind);
    message
}

#[test]
fn what_is_no_message_has_its_fault_counted() {
    let (client, _server, observer) = pair();
    let mut expected = std::collections::BTreeMap::new();
    let mut check = |message: &[u8], fault: &'static str| {
        client.send(message);
        *expected.entry(fault).or_insert(0.0) += 1.0;
        let page = observer.page();
        for (fault, count) in &expected {
            let series = match *fault {
                "none" => "queries_total{protocol=\"udp\",role=\"client\",type=\"none\"}".to_owned(),
                "query" => "queries_total{protocol=\"udp\",role=\"client\",type=\"A\"}".to_owned(),
                fault => format!("malformed_total{{fault=\"{fault}\",protocol=\"udp\",role=\"client\"}}"),
            };
            assert_eq!(page.value(&series), *count, "{fault} after {message:?}");
        }
        page.assert_adds_up();
    };
    let good = query(1, "www.example.com", A);
    check(&good, "query");
    check(&[], "short");
    check(&good[..11], "short");
    check(&good[..12], "name");
    check(&good[..20], "name");
    check(&good[..good.len() - 5], "name");
    check(&good[..good.len() - 4], "question");
    check(&good[..good.len() - 1], "question");
    // What follows the question may be anything.
    check(&[good.as_slice(), &[0xff; 900]].concat(), "query");
    check(&response(&good).unwrap(), "direction");
    // Pointers: to itself, to before the question, to behind it, and with nothing behind them.
    for pointer in [&[0xc0, 12][..], &[0xc0, 0], &[0xff, 0xff], &[3, b'a', b'b', b'c', 0xc0, 12], &[0xc0]] {
        check(&with_name(pointer, &[0, 1, 0, 1, 0, 0]), "name");
    }
    // Kinds of labels that were never used.
    check(&with_name(&[0x40, 0], &[0, 1, 0, 1]), "name");
    check(&with_name(&[0x80, 0], &[0, 1, 0, 1]), "name");
    // The longest name has 255 bytes with its last zero, and labels of 63 at most.
    let labels = |count: usize, last: u8| {
        let mut name = [&[63_u8][..], &[b'x'; 63]].concat().repeat(count);
        name.push(last);
        name.extend(vec![b'y'; usize::from(last)]);
        name.push(0);
        name
    };
    check(&with_name(&labels(3, 61), &[0, 1, 0, 1]), "query");
    check(&with_name(&labels(3, 62), &[0, 1, 0, 1]), "name");
    check(&with_name(&labels(4, 1), &[0, 1, 0, 1]), "name");
    // 127 labels of one byte, and one more.
    check(&with_name(&[[1, b'z'].repeat(127), vec![0]].concat(), &[0, 1, 0, 1]), "query");
    check(&with_name(&[[1, b'z'].repeat(128), vec![0]].concat(), &[0, 1, 0, 1]), "name");
    // Whatever bytes a label has.
    check(&with_name(&[4, 0, 0xff, b'.', b'"', 0], &[0, 1, 0, 1]), "query");
    // More questions than there are, or than anybody sends: the first counts.
    for questions in [2, 0xffff_u16] {
        let mut many = good.clone();
        many[4..6].copy_from_slice(&questions.to_be_bytes());
        check(&many, "query");
        check(&[many.as_slice(), &good[12..]].concat(), "query");
    }
    // No question at all, as some servers answer and keep-alives ask.
    let mut without = good[..12].to_vec();
    without[5] = 0;
    check(&without, "none");
}

/// Bytes that follow from a number.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Noise, and queries of which bytes were changed and ends were cut.
#[test]
fn every_packet_is_a_query_or_has_a_fault() {
    let (client, _server, observer) = pair();
    let (mut random, good) = (Random(0x1234_5678_9abc_def1), query(1, "www.example.com", A));
    let mut sent = 0;
    for round in 0..20_000 {
        let mut message = good.clone();
        if round % 2 == 0 {
            message = (0..random.next() % 300).map(|_| random.next() as u8).collect();
        } else {
            for _ in 0..=random.next() % 4 {
                let at = random.next() as usize % message.len();
                message[at] = random.next() as u8;
            }
            message.truncate(message.len() - (random.next() % 8).saturating_sub(3) as usize);
        }
        client.send(&message);
        sent += 1;
    }
    let page = observer.page();
    let (queries, faults) = (page.sum("queries_total"), page.sum("malformed_total"));
    assert_eq!(queries + faults, f64::from(sent));
    assert!(queries > 1000.0 && faults > 10_000.0, "{queries} queries, {faults} faults");
    page.assert_adds_up();
}
