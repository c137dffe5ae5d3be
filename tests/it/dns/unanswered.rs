use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::{LOCAL, Observer, Page};
use crate::common::dns::{A, Client, Server, query, response};

/// A page on which this much was given up.
#[track_caller]
pub fn page_with(observer: &Observer, unanswered: f64) -> Page {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let page = observer.page();
        if page.sum("queries_unanswered_total") >= unanswered {
            return page;
        }
        assert!(Instant::now() < deadline, "{}", page.0);
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn reason(page: &Page, reason: &str) -> f64 {
    page.value(&format!("queries_unanswered_total{{protocol=\"udp\",reason=\"{reason}\",role=\"client\"}}"))
}

#[test]
fn queries_without_an_answer_time_out_each_once() {
    let server = Server::start(LOCAL);
    let observer = Observer::start(server.address.port(), "timeout_ns: 300_000_000");
    let client = Client::new(server.address);
    for id in 1000..1100 {
        client.ask(&query(id, "www.example.com", A));
    }
    // On a busy machine an answer may be too late.
    let late = observer.page().sum("responses_unmatched_total");
    for id in 0..1000 {
        client.send(&query(id, "silent.example.com", A));
    }
    // Nobody asks any more: they are found behind packets of other kinds, such as those of the scrape.
    let page = page_with(&observer, 1000.0 + late);
    assert_eq!(reason(&page, "timeout"), 1000.0 + late);
    assert_eq!(page.sum("queries_unanswered_total"), 1000.0 + late);
    assert_eq!(page.sum("queries_pending"), 0.0);
    page.assert_adds_up();
    let later = observer.page();
    assert_eq!(reason(&later, "timeout"), 1000.0 + late);
}

#[test]
fn queries_wait_until_their_time_is_over() {
    let server = Server::start(LOCAL);
    let observer = Observer::start(server.address.port(), "timeout_ns: 3_600_000_000_000");
    let client = Client::new(server.address);
    for id in 0..50 {
        client.send(&query(id, "silent.example.com", A));
    }
    let page = observer.page();
    assert_eq!(page.value("queries_pending{role=\"client\"}"), 50.0);
    assert_eq!(page.sum("queries_unanswered_total"), 0.0);
    page.assert_adds_up();
}

/// A change of globals is another object: what was pending goes on there, with its deadline.
#[test]
fn a_reload_keeps_counts_and_what_is_pending() {
    let server = Server::start(LOCAL);
    let observer = Observer::start(server.address.port(), "timeout_ns: 3_600_000_000_000");
    let client = Client::new(server.address);
    for id in 0..20 {
        client.send(&query(id, "silent.example.com", A));
        client.ask(&query(100 + id, "www.example.com", A));
    }
    assert_eq!(observer.page().sum("queries_pending"), 20.0);
    observer.set("timeout_ns: 1_000_000");
    let page = page_with(&observer, 20.0);
    assert_eq!(reason(&page, "timeout"), 20.0);
    assert_eq!(page.sum("queries_total"), 40.0);
    assert_eq!(page.sum("response_latency_seconds_count"), 20.0);
    page.assert_adds_up();
}

/// A server whose every word the test says.
pub fn by_hand() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind((LOCAL, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[test]
fn an_answer_that_comes_too_late_matches_nothing() {
    let (server, address) = by_hand();
    let observer = Observer::start(address.port(), "timeout_ns: 50_000_000");
    let client = Client::new(address);
    client.send(&query(1, "www.example.com", A));
    let mut buffer = [0; 512];
    let (length, peer) = server.recv_from(&mut buffer).unwrap();
    std::thread::sleep(Duration::from_millis(60));
    server.send_to(&response(&buffer[..length]).unwrap(), peer).unwrap();
    client.receive();
    let page = observer.page();
    assert_eq!(reason(&page, "timeout"), 1.0);
    assert_eq!(page.value("responses_unmatched_total{protocol=\"udp\",role=\"client\"}"), 1.0);
    assert_eq!(page.sum("response_latency_seconds_count"), 0.0);
    page.assert_adds_up();
}

#[test]
fn asking_again_under_one_number_gives_the_first_up() {
    let (server, address) = by_hand();
    let observer = Observer::of_port(address.port());
    let client = Client::new(address);
    for _ in 0..4 {
        client.send(&query(7, "www.example.com", A));
    }
    let mut buffer = [0; 512];
    for _ in 0..4 {
        let (length, peer) = server.recv_from(&mut buffer).unwrap();
        server.send_to(&response(&buffer[..length]).unwrap(), peer).unwrap();
    }
    (0..4).for_each(|_| drop(client.receive()));
    let page = observer.page();
    assert_eq!(reason(&page, "repeated"), 3.0);
    // One of the four answers was waited for.
    assert_eq!(page.sum("response_latency_seconds_count"), 1.0);
    assert_eq!(page.sum("responses_unmatched_total"), 3.0);
    page.assert_adds_up();
}

/// The same number from another port, or to another address, is another query.
#[test]
fn only_its_own_answer_ends_a_query() {
    let (server, address) = by_hand();
    let observer = Observer::of_port(address.port());
    let clients = [Client::new(address), Client::new(address)];
    for client in &clients {
        client.send(&query(9, "www.example.com", A));
    }
    let mut buffer = [0; 512];
    let (length, peer) = server.recv_from(&mut buffer).unwrap();
    let answer = response(&buffer[..length]).unwrap();
    server.send_to(&answer, peer).unwrap();
    clients[0].receive();
    let page = observer.page();
    assert_eq!((page.sum("response_latency_seconds_count"), page.sum("queries_pending")), (1.0, 1.0));
    // Under another number nobody asked.
    let (_, peer) = server.recv_from(&mut buffer).unwrap();
    let mut other = answer.clone();
    other[1] ^= 1;
    server.send_to(&other, peer).unwrap();
    clients[1].receive();
    let page = observer.page();
    assert_eq!((page.sum("responses_unmatched_total"), page.sum("queries_pending")), (1.0, 1.0));
    server.send_to(&answer, peer).unwrap();
    clients[1].receive();
    let page = observer.page();
    assert_eq!((page.sum("response_latency_seconds_count"), page.sum("queries_pending")), (2.0, 0.0));
    page.assert_adds_up();
}

/// More queries wait than can be followed: each has its number all the same.
#[test]
fn what_there_is_no_room_for_is_counted() {
    let (_server, address) = by_hand();
    let observer = Observer::start(address.port(), "timeout_ns: 3_600_000_000_000");
    for _ in 0..2 {
        let client = Client::new(address);
        (0..10_000).for_each(|id| client.send(&query(id, "www.example.com", A)));
    }
    let page = observer.page();
    assert_eq!(page.sum("queries_total"), 20_000.0);
    assert_eq!(page.sum("queries_pending"), 16384.0);
    assert_eq!(reason(&page, "untracked"), 3616.0);
    page.assert_adds_up();
}

/// The deadlines of so many queries are kept, answered or not.
#[test]
fn the_oldest_gives_way_to_those_of_which_too_many_are_newer() {
    const DEADLINES: u32 = 65_536;
    let server = Server::start(LOCAL);
    let observer = Observer::start(server.address.port(), "timeout_ns: 3_600_000_000_000");
    let (waiting, client) = (Client::new(server.address), Client::new(server.address));
    for id in 0..2 {
        waiting.send(&query(id, "silent.example.com", A));
    }
    for number in 0..DEADLINES - 1 {
        client.ask(&query(number as u16, "www.example.com", A));
    }
    let page = observer.page();
    assert_eq!((reason(&page, "displaced"), page.sum("queries_pending")), (1.0, 1.0));
    client.ask(&query(0, "www.example.com", A));
    let page = observer.page();
    assert_eq!((reason(&page, "displaced"), page.sum("queries_pending")), (2.0, 0.0));
    assert_eq!(page.sum("response_latency_seconds_count"), f64::from(DEADLINES));
    page.assert_adds_up();
}
