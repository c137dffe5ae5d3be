use std::time::Duration;

use super::unanswered::page_with;
use super::{LOCAL, Observer, Page};
use crate::common::dns::{A, Client, Server, offer, query, response};

/// How many events were read.
fn delivered(page: &Page) -> f64 {
    let series = "ebpf_exporter_events_total{config=\"dns\",source=\"dns_events\"}";
    crate::common::exporter::value_of(&page.0, series).unwrap_or_else(|| panic!("{}", page.0))
}

/// How many were lost for a reason, which the program or the exporter gives.
fn lost(page: &Page, reason: &str) -> f64 {
    let losses = crate::common::exporter::values_of(&page.0, "ebpf_exporter_events_lost_total");
    let of =
        losses.iter().filter(|(labels, _)| labels["source"] == "dns_events" && labels["reason"] == reason);
    of.map(|(_, value)| value).sum()
}

/// Each response and each timeout is an event, which was delivered or has one reason.
#[track_caller]
fn assert_none_is_missing(page: &Page) {
    let reasons = ["ring_full", "rate_limited", "sampled_out", "map_full"];
    let ends = delivered(page) + reasons.iter().map(|reason| lost(page, reason)).sum::<f64>();
    let unanswered =
        crate::common::exporter::values_of(&page.0, "ebpf_exporter_dns_queries_unanswered_total");
    let timeouts = unanswered.iter().filter(|(labels, _)| labels["reason"] == "timeout");
    let offered = page.sum("responses_total") + timeouts.map(|(_, value)| value).sum::<f64>();
    assert_eq!(ends, offered, "{}", page.0);
    page.assert_adds_up();
}

#[test]
fn responses_count_by_their_names() {
    let server = Server::start(LOCAL);
    let observer = Observer::start(server.address.port(), "names: true");
    let client = Client::new(server.address);
    for id in 0..30 {
        client.ask(&query(id, "www.example.com", A));
        // The same name to DNS.
        client.ask(&query(id, "WWW.eXample.com", A));
        client.ask(&query(id, "nxdomain.example.com", A));
        client.ask(&query(id, "a\"b\\c\n.example.com", A));
        client.ask(&query(id, "", A));
    }
    let longest = [&"x".repeat(63); 3].map(String::as_str).join(".") + "." + &"y".repeat(61);
    client.ask(&query(1, &longest, A));
    let page = observer.page();
    let of = |name: &str, rcode: &str| {
        page.value(&format!("responses_by_name_total{{name=\"{name}\",rcode=\"{rcode}\",role=\"client\"}}"))
    };
    assert_eq!(of("www.example.com", "NOERROR"), 60.0);
    assert_eq!(of("nxdomain.example.com", "NXDOMAIN"), 30.0);
    // Escaped as in a zone file, and then as on a page.
    assert_eq!(of("a\\\"b\\\\\\\\c\\\\010.example.com", "NOERROR"), 30.0, "{}", page.0);
    assert_eq!(of(".", "NOERROR"), 30.0);
    assert_eq!(of(&longest, "NOERROR"), 1.0);
    let seconds = page.sum("response_seconds_by_name_total");
    assert!(seconds > 0.0 && seconds <= page.sum("response_latency_seconds_sum") + 1e-9, "{seconds}");
    assert_eq!(delivered(&page), 151.0);
    assert_none_is_missing(&page);
}

/// Asks for so many names, and has the events read before the buffer is full of them.
fn ask_all(observer: &Observer, client: &Client, count: u16, name: impl Fn(u16) -> String) {
    for id in 0..count {
        client.ask(&query(id, &name(id), A));
        if id % 500 == 499 {
            observer.page();
        }
    }
}

#[test]
fn names_have_a_limit_behind_which_they_are_others() {
    let server = Server::start(LOCAL);
    let observer = Observer::start(server.address.port(), "names: true");
    let client = Client::new(server.address);
    ask_all(&observer, &client, 1500, |id| format!("host-{id}.example.com"));
    let page = observer.page();
    let names = crate::common::exporter::values_of(&page.0, "ebpf_exporter_dns_responses_by_name_total");
    assert_eq!(names.len(), 1001);
    assert_eq!(page.sum("responses_by_name_total"), 1500.0);
    let other = page.value("responses_by_name_total{name=\"other\",rcode=\"other\",role=\"other\"}");
    assert_eq!((other, lost(&page, "series_limit")), (500.0, 0.0));
    // Who had a name of its own keeps it; the case of its letters makes no other one.
    ask_all(&observer, &client, 1500, |id| format!("HOST-{id}.example.com"));
    let page = observer.page();
    let of = |name: &str, labels: &str| {
        page.value(&format!("responses_by_name_total{{name=\"{name}\",{labels}}}"))
    };
    assert_eq!(of("other", "rcode=\"other\",role=\"other\""), 1000.0);
    assert_eq!(of("host-0.example.com", "rcode=\"NOERROR\",role=\"client\""), 2.0);
    assert_eq!(page.sum("responses_by_name_total"), 3000.0);
    assert_none_is_missing(&page);
}

#[test]
fn queries_without_an_answer_count_by_their_names() {
    let server = Server::start(LOCAL);
    // Of what is sampled all timeouts are kept.
    let settings = "names: true, timeout_ns: 300_000_000, dns_events_settings: {sample: 1_000_000}";
    let observer = Observer::start(server.address.port(), settings);
    let client = Client::new(server.address);
    for id in 0..100 {
        client.send(&query(id, "silent.example.com", A));
        client.send(&query(1000 + id, "silent.Example.COM", A));
        client.send(&query(2000 + id, "silent.example.org", A));
    }
    page_with(&observer, 300.0);
    let page = observer.page();
    let of = |name: &str| page.value(&format!("timeouts_by_name_total{{name=\"{name}\",role=\"client\"}}"));
    assert_eq!((of("silent.example.com"), of("silent.example.org")), (200.0, 100.0));
    assert_eq!((page.sum("timeouts_by_name_total"), lost(&page, "map_full")), (300.0, 0.0));
    assert_none_is_missing(&page);
}

/// An answer that is too late says that its query timed out, and is a response all the same.
#[test]
fn a_late_answer_is_a_timeout_of_its_name() {
    let (server, address) = super::unanswered::by_hand();
    let observer = Observer::start(address.port(), "names: true, timeout_ns: 1_000_000");
    let client = Client::new(address);
    client.send(&query(1, "late.example.com", A));
    let mut buffer = [0; 512];
    let (length, peer) = server.recv_from(&mut buffer).unwrap();
    std::thread::sleep(Duration::from_millis(5));
    server.send_to(&response(&buffer[..length]).unwrap(), peer).unwrap();
    client.receive();
    let page = observer.page();
    let name = "name=\"late.example.com\"";
    assert_eq!(page.value(&format!("timeouts_by_name_total{{{name},role=\"client\"}}")), 1.0);
    let series = format!("responses_by_name_total{{{name},rcode=\"NOERROR\",role=\"client\"}}");
    assert_eq!((page.value(&series), page.sum("responses_unmatched_total")), (1.0, 1.0));
    assert_none_is_missing(&page);
}

/// Names of so many pending queries are kept; a timeout of another one is counted, and so is that it has none.
#[test]
fn names_of_pending_queries_have_a_limit() {
    const NAMES: f64 = 4096.0;
    let (_server, address) = super::unanswered::by_hand();
    let observer = Observer::start(address.port(), "names: true, timeout_ns: 3_600_000_000_000");
    let client = Client::new(address);
    (0..6000).for_each(|id| client.send(&query(id, "silent.example.com", A)));
    observer.set("names: true, timeout_ns: 1_000_000");
    page_with(&observer, 6000.0);
    let page = observer.page();
    let named = page.value("timeouts_by_name_total{name=\"silent.example.com\",role=\"client\"}");
    assert_eq!((named + lost(&page, "ring_full"), lost(&page, "map_full")), (NAMES, 6000.0 - NAMES));
    assert_none_is_missing(&page);
}

#[test]
fn without_names_there_are_no_events() {
    let server = Server::start(LOCAL);
    let observer = Observer::of(&server);
    Client::new(server.address).ask(&query(1, "www.example.com", A));
    let page = observer.page();
    assert_eq!((delivered(&page), page.sum("responses_by_name_total")), (0.0, 0.0));
    assert_eq!(page.sum("responses_total"), 1.0);
}

/// Counters are of everything, whatever becomes of the events.
#[test]
fn a_limited_stream_is_held_and_adds_up() {
    let server = Server::start(LOCAL);
    // What a full queue loses has not timed out when the page is read.
    let settings = "names: true, timeout_ns: 3_600_000_000_000, dns_events_settings: {rate: 100, burst: 50}";
    let observer = Observer::start(server.address.port(), settings);
    let offered = offer(server.address, 5000, Duration::from_secs(2), |number| {
        (if number % 2 == 0 { "www.example.com" } else { "servfail.example.com" }.to_owned(), A)
    });
    let page = observer.page();
    assert_eq!(page.sum("queries_total"), offered.queries as f64);
    assert_eq!(page.sum("responses_total"), server.sent() as f64);
    let most = 50.0 + 100.0 * (offered.took.as_secs_f64() + 1.0);
    assert!(delivered(&page) <= most, "{} of {most}", delivered(&page));
    assert_eq!(delivered(&page) + lost(&page, "rate_limited"), server.sent() as f64);
    assert_eq!(page.sum("responses_by_name_total"), delivered(&page));
    assert_none_is_missing(&page);
}

#[test]
fn a_sampled_stream_has_its_share_and_every_error() {
    let server = Server::start(LOCAL);
    let settings = "names: true, dns_events_settings: {sample: 10}";
    let observer = Observer::start(server.address.port(), settings);
    let client = Client::new(server.address);
    ask_all(&observer, &client, 4000, |id| {
        if id % 4 == 0 { "servfail.example.com" } else { "nxdomain.example.com" }.to_owned()
    });
    let page = observer.page();
    let of = |name: &str, rcode: &str| {
        page.value(&format!("responses_by_name_total{{name=\"{name}\",rcode=\"{rcode}\",role=\"client\"}}"))
    };
    assert_eq!(of("servfail.example.com", "SERVFAIL"), 1000.0);
    let sampled = of("nxdomain.example.com", "NXDOMAIN");
    let cpus = std::thread::available_parallelism().unwrap().get() as f64;
    assert!((sampled - 300.0).abs() <= cpus, "{sampled}");
    assert_eq!(lost(&page, "sampled_out"), 3000.0 - sampled);
    assert_eq!(page.value("events_sample"), 10.0);
    assert_none_is_missing(&page);
}
