//! What the DNS observer costs, and that its numbers are right, at 10,000 queries a second.
//!
//! `make bench-dns`, as root; `make bench-dns SECONDS=10` for less than the 60 seconds of each case. A client and a
//! server on loopback exchange queries at that pace, and the shipped pair looks at their port. Counts, losses and
//! shares are checked, and one that is not as it has to be ends the run; times are printed.

// A benchmark may stop where a program must not.
#![allow(clippy::unwrap_used)]

// The library has the function that the linker leads libbpf's map updates through.
extern crate bpftally as _;

#[allow(dead_code, reason = "tests use the rest")]
#[path = "../../tests/it/common/dns.rs"]
mod dns;
#[allow(dead_code, reason = "tests use the rest")]
#[path = "../../tests/it/common/exporter.rs"]
mod exporter;
#[allow(dead_code, reason = "the other benchmark uses the rest")]
#[path = "../scrape/process.rs"]
mod process;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dns::{A, AAAA, Offered, Server, offer, with_globals};
use exporter::{Exporter, value_of, values_of};

const PER_SECOND: u64 = 10_000;
const LIMIT: f64 = 1000.0;
const SAMPLE: f64 = 10.0;

/// As often as Prometheus asks by default.
const BETWEEN_SCRAPES: Duration = Duration::from_secs(15);

/// One way to set the stream of events.
struct Case {
    name: &'static str,
    globals: &'static str,
    /// Whether the messages are at the port that is looked at.
    is_dns: bool,
    check: fn(&Run),
}

const CASES: [Case; 5] = [
    Case {
        name: "packets at other ports",
        globals: "names: true",
        is_dns: false,
        check: |run| assert_eq!(sum(&run.page, "dns_queries_total"), 0.0),
    },
    Case {
        name: "counters alone",
        globals: "names: false",
        is_dns: true,
        check: |run| assert_eq!(run.produced(), 0.0),
    },
    Case {
        name: "every event",
        globals: "names: true",
        is_dns: true,
        check: |run| assert_eq!(run.delivered + run.lost("ring_full"), run.responses),
    },
    Case {
        name: "limit of 1000 a second",
        globals: "names: true, dns_events_settings: {rate: 1000}",
        is_dns: true,
        check: Run::assert_limited,
    },
    Case {
        name: "one in ten",
        globals: "names: true, dns_events_settings: {sample: 10}",
        is_dns: true,
        check: Run::assert_sampled,
    },
];

/// What a case came to.
struct Run {
    offered: Offered,
    responses: f64,
    delivered: f64,
    page: String,
    /// Time of the programs for each of their runs, in nanoseconds.
    program: f64,
    /// Shares of one CPU.
    programs_share: f64,
    exporter_share: f64,
    resident: f64,
}

impl Run {
    fn lost(&self, reason: &str) -> f64 {
        values_of(&self.page, "ebpf_exporter_events_lost_total")
            .iter()
            .filter(|(labels, _)| labels["source"] == "dns_events" && labels["reason"] == reason)
            .map(|(_, value)| value)
            .sum()
    }

    fn produced(&self) -> f64 {
        let lost = values_of(&self.page, "ebpf_exporter_events_lost_total");
        let lost = lost.iter().filter(|(labels, _)| labels["source"] == "dns_events");
        self.delivered + lost.map(|(_, value)| value).sum::<f64>()
    }

    fn assert_exact(&self) {
        let sum = |family: &str| -> f64 { sum(&self.page, family) };
        assert_eq!(sum("dns_queries_total"), self.offered.queries as f64);
        assert_eq!(sum("dns_query_bytes_total"), self.offered.bytes as f64);
        assert_eq!(sum("dns_responses_total"), self.responses);
        let answered = sum("dns_response_latency_seconds_count");
        let ends = answered + sum("dns_queries_unanswered_total") + sum("dns_queries_pending");
        assert_eq!(sum("dns_queries_total"), ends);
        if self.produced() > 0.0 {
            assert_eq!(self.produced(), self.responses, "what was offered was delivered, or has a reason");
        }
    }

    fn assert_limited(&self) {
        let share = self.delivered / (LIMIT * self.offered.took.as_secs_f64());
        // It starts with one second's worth saved up.
        let saved = 1.0 / self.offered.took.as_secs_f64();
        assert!((share - saved - 1.0).abs() < 0.05, "{} events: {share} of the limit", self.delivered);
        assert_eq!(self.lost("rate_limited"), self.responses - self.delivered - self.lost("ring_full"));
    }

    fn assert_sampled(&self) {
        let share = (self.responses - self.lost("sampled_out")) * SAMPLE / self.responses;
        assert!((share - 1.0).abs() < 0.01, "{share} of a tenth");
    }
}

fn main() {
    let seconds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(60);
    println!(
        "| case | queries | events delivered | lost | ns a run | programs, % of a CPU | exporter, % of a CPU | resident, MB |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for case in &CASES {
        let run = measure(case, Duration::from_secs(seconds));
        if case.is_dns {
            run.assert_exact();
        }
        (case.check)(&run);
        println!(
            "| {} | {} | {} | {} | {:.0} | {:.2} | {:.2} | {:.1} |",
            case.name,
            run.offered.queries,
            run.delivered,
            run.produced() - run.delivered,
            run.program,
            run.programs_share * 100.0,
            run.exporter_share * 100.0,
            run.resident
        );
    }
}

fn measure(case: &Case, duration: Duration) -> Run {
    let server = Server::start([127, 0, 0, 1].into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    // Nobody asks for anything at port 1.
    let port = if case.is_dns { server.address.port() } else { 1 };
    let config = with_globals(&format!("dns_port: {port}, {}", case.globals));
    std::fs::write(folder.path().join("dns.yaml"), config).unwrap();
    std::fs::copy(root.join("bpf-objects/dns.bpf.o"), folder.path().join("dns.bpf.o")).unwrap();
    let exporter = Exporter::start(&[
        "--config.dir",
        folder.path().to_str().unwrap(),
        "--config.strict",
        "--bpf.stats=on",
    ]);

    let before = exporter.page();
    let cpu = process::cpu_time(exporter.pid());
    let offered = scraped(&exporter, || {
        offer(server.address, PER_SECOND, duration, |number| {
            // A few thousand names, as a host has them, of which some do not exist.
            let kind = if number % 3 == 0 { AAAA } else { A };
            (format!("host-{}.service.example.com", number % 3000), kind)
        })
    });
    let cpu = process::cpu_time(exporter.pid()) - cpu;
    let page = exporter.page();
    let grown = |name: &str| sum(&page, name) - sum(&before, name);
    let (time, runs) = (grown("ebpf_program_run_time_seconds"), grown("ebpf_program_run_count_total"));
    let took = offered.took.as_secs_f64();
    let events = "ebpf_exporter_events_total{config=\"dns\",source=\"dns_events\"}";
    Run {
        responses: server.sent() as f64,
        delivered: value_of(&page, events).unwrap_or_default(),
        program: time * 1e9 / runs,
        programs_share: time / took,
        exporter_share: cpu.as_secs_f64() / took,
        resident: process::memory(exporter.pid()).resident,
        page,
        offered,
    }
}

/// Does something while the page is asked for now and then.
fn scraped<T>(exporter: &Exporter, work: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut last = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                if last.elapsed() >= BETWEEN_SCRAPES {
                    exporter.page();
                    last = Instant::now();
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let result = work();
        stop.store(true, Ordering::Relaxed);
        result
    })
}

/// The sum over all series of a family.
fn sum(page: &str, family: &str) -> f64 {
    values_of(page, &format!("ebpf_exporter_{family}")).iter().map(|(_, value)| value).sum()
}
