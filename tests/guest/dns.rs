//! The DNS observer on kernels of all ages: its programs, the stream of names, and its limit.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::dns::{A, AAAA, Client, Server, query, with_globals_in};
use crate::common::exporter::{Exporter, value_of, values_of};

const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const LOCAL_6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

/// An exporter with the shipped pair, which looks at one port.
struct Observer {
    exporter: Exporter,
    folder: tempfile::TempDir,
    port: u16,
}

impl Observer {
    #[track_caller]
    fn start(port: u16, globals: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), port, globals);
        let argument = format!("--config.dir={}", folder.path().display());
        let exporter = Exporter::start(&[&argument, "--object.dir=/bpf-objects", "--config.strict"]);
        Self { exporter, folder, port }
    }

    /// Changes the globals while it runs, which it sees in its own time.
    fn set(&self, globals: &str) {
        write(self.folder.path(), self.port, globals);
    }

    #[track_caller]
    fn page(&self) -> String {
        self.exporter.page()
    }
}

fn write(folder: &Path, port: u16, globals: &str) {
    let config = std::fs::read_to_string("/configs/dns.yaml").unwrap();
    let config = with_globals_in(&config, &format!("dns_port: {port}, {globals}"));
    std::fs::write(folder.join("dns.yaml"), config).unwrap();
}

fn sum(page: &str, family: &str) -> f64 {
    values_of(page, &format!("ebpf_exporter_{family}")).iter().map(|(_, value)| value).sum()
}

fn lost(page: &str, reason: &str) -> f64 {
    let losses = values_of(page, "ebpf_exporter_events_lost_total");
    losses.iter().filter(|(labels, _)| labels["reason"] == reason).map(|(_, value)| value).sum()
}

#[track_caller]
fn check(page: &str, expected: &[(&str, f64)]) {
    for (series, value) in expected {
        assert_eq!(
            value_of(page, &format!("ebpf_exporter_dns_{series}")),
            Some(*value),
            "{series} in\n{page}"
        );
    }
    let answered = sum(page, "dns_response_latency_seconds_count");
    let unanswered = sum(page, "dns_queries_unanswered_total") + sum(page, "dns_queries_pending");
    assert_eq!(sum(page, "dns_queries_total"), answered + unanswered);
}

/// Names that are answered, and some that are not; one message is cut in its name, and its server says nothing to it.
fn ask(server: &Server) {
    let client = Client::new(server.address);
    for id in 0..60 {
        client.ask(&query(id, "www.example.com", A));
        client.ask(&query(id, "nxdomain.example.com", AAAA));
    }
    for id in 100..130 {
        client.send(&query(id, "silent.example.com", A));
    }
    client.send(&query(1, "silent.example.com", A)[..22]);
}

/// What there is once so many servers were asked so.
#[track_caller]
fn check_asked(page: &str, servers: f64) {
    let expected = [
        ("queries_total{protocol=\"udp\",role=\"client\",type=\"A\"}", 90.0),
        ("queries_total{protocol=\"udp\",role=\"client\",type=\"AAAA\"}", 60.0),
        ("responses_total{protocol=\"udp\",rcode=\"NXDOMAIN\",role=\"client\",type=\"AAAA\"}", 60.0),
        ("response_latency_seconds_count{protocol=\"udp\",role=\"client\"}", 120.0),
        ("malformed_total{fault=\"name\",protocol=\"udp\",role=\"client\"}", 1.0),
        ("responses_by_name_total{name=\"www.example.com\",rcode=\"NOERROR\",role=\"client\"}", 60.0),
        ("responses_by_name_total{name=\"nxdomain.example.com\",rcode=\"NXDOMAIN\",role=\"client\"}", 60.0),
    ];
    check(page, &expected.map(|(series, count)| (series, count * servers)));
}

/// One exporter for all: verifying its programs takes an emulated processor a while.
#[test]
fn queries_count_by_their_names() {
    let server = Server::start(LOCAL);
    let port = server.address.port();
    let server_6 = Server::at((LOCAL_6, port).into());
    let observer = Observer::start(port, "names: true, timeout_ns: 3_600_000_000_000");
    for (server, servers) in [(&server, 1.0), (&server_6, 2.0)] {
        ask(server);
        let page = observer.page();
        check_asked(&page, servers);
        let pending = sum(&page, "dns_queries_pending");
        assert_eq!((pending, sum(&page, "events_total")), (30.0 * servers, 120.0 * servers), "{page}");
    }
    // However slow this machine is, only those time out that have no answer.
    observer.set("names: true, timeout_ns: 1_000_000");
    let deadline = Instant::now() + Duration::from_secs(300);
    while sum(&observer.page(), "dns_queries_pending") > 0.0 {
        assert!(Instant::now() < deadline, "{}", observer.page());
        std::thread::sleep(Duration::from_millis(50));
    }
    let page = observer.page();
    check_asked(&page, 2.0);
    let timeouts = [
        ("queries_unanswered_total{protocol=\"udp\",reason=\"timeout\",role=\"client\"}", 60.0),
        ("timeouts_by_name_total{name=\"silent.example.com\",role=\"client\"}", 60.0),
    ];
    check(&page, &timeouts);
    assert_eq!(sum(&page, "events_total"), 240.0 + 60.0);
}

/// The programs of the pair may take a lock, so that one limit is for all CPUs on every kernel.
#[test]
fn the_stream_keeps_its_limit_and_nothing_is_missing() {
    const QUERIES: f64 = 600.0;
    let server = Server::start(LOCAL);
    let began = Instant::now();
    let settings = "names: true, timeout_ns: 3_600_000_000_000, dns_events_settings: {rate: 20, burst: 50}";
    let observer = Observer::start(server.address.port(), settings);
    let client = Client::new(server.address);
    for id in 0..600 {
        client.ask(&query(id, "www.example.com", A));
    }
    let page = observer.page();
    let took = began.elapsed().as_secs_f64();
    check(&page, &[("queries_total{protocol=\"udp\",role=\"client\",type=\"A\"}", QUERIES)]);
    let delivered = sum(&page, "events_total");
    assert_eq!(delivered + lost(&page, "rate_limited"), QUERIES, "{page}");
    assert!((50.0..=51.0 + 20.0 * took).contains(&delivered), "{delivered} in {took} s");
    assert_eq!(sum(&page, "dns_responses_by_name_total"), delivered);
}
