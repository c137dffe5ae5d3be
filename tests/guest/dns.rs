//! The DNS observer on kernels of all ages: its programs, the stream of names, and its limit.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::common::dns::{A, AAAA, Client, Server, query, with_globals_in};
use crate::common::exporter::{Exporter, value_of, values_of};
use crate::common::kernel::kernel_since;

const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const LOCAL_6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

/// An exporter with the shipped pair, which looks at one port.
fn observer(port: u16, globals: &str) -> (tempfile::TempDir, Exporter) {
    let config = std::fs::read_to_string("/configs/dns.yaml").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = with_globals_in(&config, &format!("dns_port: {port}, {globals}"));
    std::fs::write(folder.path().join("dns.yaml"), config).unwrap();
    let argument = format!("--config.dir={}", folder.path().display());
    let exporter = Exporter::start(&[&argument, "--object.dir=/bpf-objects", "--config.strict"]);
    (folder, exporter)
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

#[track_caller]
fn check_names(local: IpAddr) {
    let server = Server::start(local);
    let (_folder, exporter) = observer(server.address.port(), "names: true, timeout_ns: 20_000_000_000");
    let client = Client::new(server.address);
    for id in 0..60 {
        client.ask(&query(id, "www.example.com", A));
        client.ask(&query(id, "nxdomain.example.com", AAAA));
    }
    for id in 100..130 {
        client.send(&query(id, "silent.example.com", A));
    }
    // Cut in its name; the server says nothing to it.
    client.send(&query(1, "silent.example.com", A)[..22]);
    let deadline = Instant::now() + Duration::from_secs(120);
    while sum(&exporter.page(), "dns_queries_pending") > 0.0 {
        assert!(Instant::now() < deadline, "{}", exporter.page());
        std::thread::sleep(Duration::from_millis(200));
    }
    let page = exporter.page();
    let expected = [
        ("queries_total{protocol=\"udp\",role=\"client\",type=\"A\"}", 90.0),
        ("queries_total{protocol=\"udp\",role=\"client\",type=\"AAAA\"}", 60.0),
        ("responses_total{protocol=\"udp\",rcode=\"NXDOMAIN\",role=\"client\",type=\"AAAA\"}", 60.0),
        ("response_latency_seconds_count{protocol=\"udp\",role=\"client\"}", 120.0),
        ("queries_unanswered_total{protocol=\"udp\",reason=\"timeout\",role=\"client\"}", 30.0),
        ("malformed_total{fault=\"name\",protocol=\"udp\",role=\"client\"}", 1.0),
        ("responses_by_name_total{name=\"www.example.com\",rcode=\"NOERROR\",role=\"client\"}", 60.0),
        ("responses_by_name_total{name=\"nxdomain.example.com\",rcode=\"NXDOMAIN\",role=\"client\"}", 60.0),
    ];
    check(&page, &expected);
    let timeouts = if kernel_since(6, 5) { 30.0 } else { 0.0 };
    let named = value_of(
        &page,
        "ebpf_exporter_dns_timeouts_by_name_total{name=\"silent.example.com\",role=\"client\"}",
    );
    assert_eq!((named.unwrap_or_default(), sum(&page, "events_total")), (timeouts, 120.0 + timeouts));
}

#[test]
fn queries_count_by_their_names() {
    check_names(LOCAL);
    check_names(LOCAL_6);
}

/// The programs of the pair may take a lock, so that one limit is for all CPUs on every kernel.
#[test]
fn the_stream_keeps_its_limit_and_nothing_is_missing() {
    const QUERIES: f64 = 600.0;
    let server = Server::start(LOCAL);
    let began = Instant::now();
    let settings = "names: true, timeout_ns: 3_600_000_000_000, dns_events_settings: {rate: 20, burst: 50}";
    let (_folder, exporter) = observer(server.address.port(), settings);
    let client = Client::new(server.address);
    for id in 0..600 {
        client.ask(&query(id, "www.example.com", A));
    }
    let page = exporter.page();
    let took = began.elapsed().as_secs_f64();
    check(&page, &[("queries_total{protocol=\"udp\",role=\"client\",type=\"A\"}", QUERIES)]);
    let delivered = sum(&page, "events_total");
    assert_eq!(delivered + lost(&page, "rate_limited"), QUERIES, "{page}");
    assert!((50.0..=51.0 + 20.0 * took).contains(&delivered), "{delivered} in {took} s");
    assert_eq!(sum(&page, "dns_responses_by_name_total"), delivered);
}
