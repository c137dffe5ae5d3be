//! What a scrape of the whole process costs, beside the floor measured in the same run.
//!
//! `make bench`, as root. Maps of known content are filled from user space; the exporter and a bare program are
//! scraped in turns over one keep-alive connection each. The bare program reads the same map by batch on one
//! thread, renders it hard-coded and writes the bytes: what no exporter can do without. Times are medians,
//! and the ratio is of medians of one run: a machine that is busy makes both slower.
//! `make bench CASES="hash-10k histograms"` runs some.

// A benchmark may stop where a program must not.
#![allow(clippy::unwrap_used)]

// The library has the function that the linker leads libbpf's map updates through.
extern crate bpftally as _;

mod bare;
mod client;
mod content;
mod process;
mod subject;

use std::time::Duration;

use client::Client;
use content::Content;
use subject::Subject;

/// One row of the table.
struct Case {
    name: &'static str,
    content: Content,
    /// Configs in the folder; each has the content.
    configs: usize,
    /// Requests at a time.
    clients: usize,
    /// What the client takes, such as `gzip`.
    coding: &'static str,
}

/// Launches of which the median is told.
const LAUNCHES: usize = 21;

const fn case(name: &'static str, content: Content) -> Case {
    Case { name, content, configs: 1, clients: 1, coding: "identity" }
}

const CASES: &[Case] = &[
    case("empty", Content::Plain(0)),
    case("hash-10", Content::Plain(10)),
    case("hash-100", Content::Plain(100)),
    case("hash-1k", Content::Plain(1000)),
    case("hash-10k", Content::Plain(10_000)),
    Case { clients: 8, ..case("hash-10k-8-clients", Content::Plain(10_000)) },
    case("hash-100k", Content::Plain(100_000)),
    Case { coding: "gzip", ..case("hash-100k-gzip", Content::Plain(100_000)) },
    Case { coding: "zstd", ..case("hash-100k-zstd", Content::Plain(100_000)) },
    case("hash-1m", Content::Plain(1_000_000)),
    case("per-cpu-1k", Content::PerCpu(1000)),
    case("per-cpu-10k", Content::PerCpu(10_000)),
    case("per-cpu-100k", Content::PerCpu(100_000)),
    case("histograms-1k", Content::Histograms(1000)),
    Case { configs: 50, ..case("configs-50", Content::Plain(100)) },
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [word, id] = arguments.as_slice()
        && word == "bare"
    {
        return bare::serve(id.parse().unwrap());
    }
    if arguments.is_empty() {
        println!("{}\n", launches());
    }
    println!(
        "| case | ms | bare, ms | ratio | CPU, ms | bare, CPU ms | bytes | system calls | resident, MB | peak, MB |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for case in
        CASES.iter().filter(|case| arguments.is_empty() || arguments.iter().any(|name| name == case.name))
    {
        println!("{}", measure(case));
    }
}

/// The exporter before it is scraped.
fn launches() -> String {
    let launched: Vec<_> = (0..LAUNCHES).map(|_| subject::launch(&CASES[0])).collect();
    let time = median(launched.iter().map(|(time, _)| *time).collect());
    let resident = launched.iter().map(|(_, resident)| *resident).fold(0.0, f64::max);
    let bytes = std::fs::metadata(subject::EXPORTER).unwrap().len() as f64;
    let time = milliseconds(time);
    format!(
        "One config: {time} ms from the launch to the first page, {resident:.1} MB resident then; the binary has {:.2} MB.",
        bytes / 1e6
    )
}

/// Enough scrapes for a median, and not for ever.
fn rounds(content: &Content) -> usize {
    match content.series() {
        0..=1000 => 400,
        1001..=20_000 => 200,
        20_001..=200_000 => 60,
        _ => 9,
    }
}

fn measure(case: &Case) -> String {
    let subject = Subject::start(case);
    let (rounds, bare) = (rounds(&case.content), subject.bare());
    let mut clients: Vec<Client> =
        (0..case.clients).map(|_| Client::new(&subject.address, "/metrics", case.coding)).collect();
    let mut floor = bare.as_ref().map(|bare| Client::new(&bare.address, "/", "identity"));
    let bytes = clients[0].get();
    client::all_at_once(&mut clients);
    let (mut times, mut floors, mut cpu, mut floor_cpu) =
        (Vec::new(), Vec::new(), Duration::ZERO, Duration::ZERO);
    for _ in 0..rounds {
        let before = process::cpu_time(subject.pid());
        times.push(client::all_at_once(&mut clients));
        cpu += process::cpu_time(subject.pid()) - before;
        if let (Some(floor), Some(bare)) = (&mut floor, &bare) {
            let before = process::cpu_time(bare.pid());
            floors.push(client::timed(|| floor.get()).1);
            floor_cpu += process::cpu_time(bare.pid()) - before;
        }
    }
    let calls = subject.system_calls(&mut clients[0]);
    let cpu = cpu / u32::try_from(rounds * case.clients).unwrap();
    let (time, memory) = (median(times), process::memory(subject.pid()));
    let (floor, ratio, floor_cpu) = match median_of(floors) {
        Some(floor) => (
            milliseconds(floor),
            format!("{:.2}", time.as_secs_f64() / floor.as_secs_f64()),
            milliseconds(floor_cpu / u32::try_from(rounds).unwrap()),
        ),
        None => Default::default(),
    };
    format!(
        "| {} | {} | {floor} | {ratio} | {} | {floor_cpu} | {bytes} | {calls} | {:.1} | {:.1} |",
        case.name,
        milliseconds(time),
        milliseconds(cpu),
        memory.resident,
        memory.peak,
    )
}

fn median(times: Vec<Duration>) -> Duration {
    median_of(times).unwrap()
}

fn median_of(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

fn milliseconds(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1e3;
    if milliseconds < 10.0 { format!("{milliseconds:.2}") } else { format!("{milliseconds:.1}") }
}
