//! What the DNS observer costs, and that its numbers are right, at 10,000 queries a second.
//!
//! `make bench-dns`, as root; `make bench-dns SECONDS=10` for less than the 60 seconds of each case. A client and a
//! server on loopback exchange queries at that pace, and the shipped pair looks at their port. Counts, losses, shares
//! and memory are checked, and one that is not as it has to be ends the run; times are printed. So a busy machine
//! makes slow numbers, and no wrong ones: whatever it loses on the way is in a number.

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

/// Megabytes that the exporter may have at any time of a run.
const MOST_RESIDENT: f64 = 16.0;

/// Events after which it may have no more than before, but for so many megabytes.
const MANY_EVENTS: f64 = 1e6;
const MOST_GROWTH: f64 = 0.5;

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
        check: |run| assert_eq!(run.delivered + run.lost("ring_full") + run.lost("map_full"), run.ends()),
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
    /// The most that the exporter had, in megabytes.
    resident: f64,
    /// From before the first query until nothing waited for an answer any more.
    whole: Duration,
}

impl Run {
    fn lost(&self, reason: &str) -> f64 {
        values_of(&self.page, "ebpf_exporter_events_lost_total")
            .iter()
            .filter(|(labels, _)| labels["source"] == "dns_events" && labels["reason"] == reason)
            .map(|(_, value)| value)
            .sum()
    }

    /// Responses and timeouts: of each there is an event.
    fn ends(&self) -> f64 {
        self.responses + timeouts(&self.page)
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
            assert_eq!(self.produced(), self.ends(), "what was offered was delivered, or has a reason");
        }
        assert!(self.resident < MOST_RESIDENT, "{} MB", self.resident);
    }

    fn assert_limited(&self) {
        // It starts with one second's worth saved up. What came late, when the machine was busy, had its time, too.
        let of = |time: Duration| LIMIT * (1.0 + time.as_secs_f64());
        let (least, most) = (of(self.offered.took) * 0.95, of(self.whole) * 1.05);
        assert!((least..=most).contains(&self.delivered), "{} events, {least} to {most}", self.delivered);
        let others = self.lost("ring_full") + self.lost("map_full");
        assert_eq!(self.lost("rate_limited"), self.ends() - self.delivered - others);
    }

    fn assert_sampled(&self) {
        // Timeouts are always kept, and are no part of the sample.
        let share = (self.responses - self.lost("sampled_out")) * SAMPLE / self.responses;
        assert!((share - 1.0).abs() < 0.01, "{share} of a tenth");
    }
}

fn main() {
    let seconds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(60);
    println!(
        "| case | queries | events delivered | not delivered | ns a run | programs, % of a CPU | exporter, % of a CPU | resident, MB |"
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
    measure_growth();
}

/// What many events leave behind in the exporter.
fn measure_growth() {
    let server = Server::start([127, 0, 0, 1].into());
    let folder = tempfile::tempdir().unwrap();
    let exporter = start(folder.path(), server.address.port(), "names: true");
    let state = |least: f64| {
        loop {
            offer(server.address, 2 * PER_SECOND, Duration::from_secs(2), name);
            let page = exporter.page();
            let delivered = value_of(&page, DELIVERED).unwrap_or_default();
            if delivered >= least {
                return (delivered, process::memory(exporter.pid()).resident);
            }
        }
    };
    let (first, before) = state(MANY_EVENTS / 10.0);
    let (last, after) = state(first + MANY_EVENTS);
    println!("{} events: {before:.1} MB before, {after:.1} MB after", last - first);
    assert!(after - before < MOST_GROWTH, "{before} MB, then {after} MB");
}

/// A few thousand names, as a host has them.
fn name(number: u64) -> (String, u16) {
    let kind = if number.is_multiple_of(3) { AAAA } else { A };
    (format!("host-{}.service.example.com", number % 3000), kind)
}

/// An exporter with the shipped pair, which looks at one port.
fn start(folder: &Path, port: u16, globals: &str) -> Exporter {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = with_globals(&format!("dns_port: {port}, {globals}"));
    std::fs::write(folder.join("dns.yaml"), config).unwrap();
    std::fs::copy(root.join("bpf-objects/dns.bpf.o"), folder.join("dns.bpf.o")).unwrap();
    Exporter::start(&["--config.dir", folder.to_str().unwrap(), "--config.strict", "--bpf.stats=on"])
}

fn measure(case: &Case, duration: Duration) -> Run {
    let server = Server::start([127, 0, 0, 1].into());
    let folder = tempfile::tempdir().unwrap();
    // Nobody asks for anything at port 1.
    let port = if case.is_dns { server.address.port() } else { 1 };
    let exporter = start(folder.path(), port, case.globals);

    let before = exporter.page();
    let (cpu, begin) = (process::cpu_time(exporter.pid()), Instant::now());
    let (offered, resident) = scraped(&exporter, || offer(server.address, PER_SECOND, duration, name));
    let cpu = process::cpu_time(exporter.pid()) - cpu;
    let page = settled(&exporter);
    let grown = |name: &str| sum(&page, name) - sum(&before, name);
    let (time, runs) = (grown("ebpf_program_run_time_seconds"), grown("ebpf_program_run_count_total"));
    let took = offered.took.as_secs_f64();
    Run {
        responses: server.sent() as f64,
        delivered: value_of(&page, DELIVERED).unwrap_or_default(),
        program: time * 1e9 / runs,
        programs_share: time / took,
        exporter_share: cpu.as_secs_f64() / took,
        resident,
        whole: begin.elapsed(),
        page,
        offered,
    }
}

const DELIVERED: &str = "ebpf_exporter_events_total{config=\"dns\",source=\"dns_events\"}";

/// A page of after the last query was answered or given up.
fn settled(exporter: &Exporter) -> String {
    let deadline = Instant::now() + Duration::from_secs(120);
    while sum(&exporter.page(), "dns_queries_pending") > 0.0 {
        assert!(Instant::now() < deadline, "queries wait for ever");
        std::thread::sleep(Duration::from_millis(100));
    }
    exporter.page()
}

/// Queries that nobody answered in time.
fn timeouts(page: &str) -> f64 {
    let all = values_of(page, "ebpf_exporter_dns_queries_unanswered_total");
    all.iter().filter(|(labels, _)| labels["reason"] == "timeout").map(|(_, value)| value).sum()
}

/// Does something while the page is asked for now and then; the most memory that the exporter had meanwhile.
fn scraped<T>(exporter: &Exporter, work: impl FnOnce() -> T) -> (T, f64) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let most = scope.spawn(|| {
            let (mut last, mut most) = (Instant::now(), 0.0_f64);
            while !stop.load(Ordering::Relaxed) {
                if last.elapsed() >= BETWEEN_SCRAPES {
                    exporter.page();
                    last = Instant::now();
                }
                most = most.max(process::memory(exporter.pid()).resident);
                std::thread::sleep(Duration::from_millis(50));
            }
            exporter.page();
            most.max(process::memory(exporter.pid()).resident)
        });
        let result = work();
        stop.store(true, Ordering::Relaxed);
        (result, most.join().unwrap())
    })
}

/// The sum over all series of a family.
fn sum(page: &str, family: &str) -> f64 {
    values_of(page, &format!("ebpf_exporter_{family}")).iter().map(|(_, value)| value).sum()
}
