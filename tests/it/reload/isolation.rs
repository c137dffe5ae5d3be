use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::fire::turns;
use super::{Following, object, programs, until_unloaded};
use crate::common::exporter::{value_of, values_of};
use crate::common::folder::Folder;
use crate::common::objects::compile;
use crate::exporter::{Workload, good_yaml};

const SERIES: &str = "ebpf_exporter_good{slot=\"7\"}";

/// Someone who takes a page byte by byte holds nothing of what it was made from.
#[test]
fn a_slow_reader_keeps_no_old_program_attached() {
    let calls = Workload::new();
    let folder = Folder::new();
    folder.pair("good", &good_yaml("good"), &object(calls, "good", 64, 1));
    // A page of some megabytes, so that it does not fit into the socket.
    let many = compile(
        "struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 100000); __type(key, u32); __type(value, u64); } many SEC(\".maps\");",
    );
    let yaml = "metrics: {gauges: [{name: many, help: h, labels: [{name: a_label_with_quite_a_long_name, size: 4, decoders: [{name: uint}]}]}]}";
    folder.pair("many", yaml, &many);
    let following = Following::start(folder, &[]);
    calls.fire(10);
    let before = programs(&following.exporter.page(), "good");
    let held = following.held();

    let mut slow: Vec<TcpStream> =
        (0..3).map(|_| TcpStream::connect(following.exporter.address()).unwrap()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
        // The page is being sent.
        stream.read_exact(&mut [0; 1]).unwrap();
    }
    following.put_object("good", &object(calls, "good", 64, 2));
    following.put("many.yaml", yaml.replace("help: h", "help: other"));
    let deadline = Instant::now() + Duration::from_secs(20);
    while programs(&following.exporter.page(), "good") == before {
        assert!(Instant::now() < deadline, "the object is not replaced:\n{}", following.exporter.log());
        for stream in &mut slow {
            stream.read_exact(&mut [0; 1]).unwrap();
        }
    }
    until_unloaded(&before);
    let now = following.held();
    assert!(
        now.links.is_disjoint(&held.links) && now.links.len() == held.links.len(),
        "{held:?} became {now:?}"
    );
    calls.fire(7);
    assert_eq!(following.exporter.value(SERIES), Some(17.0));
    // The page that was begun is of one generation to its end.
    let mut rest = Vec::new();
    slow[0].read_to_end(&mut rest).unwrap();
    let page = String::from_utf8_lossy(&rest);
    assert!(
        page.contains("# HELP ebpf_exporter_many h\n") && !page.contains("HELP ebpf_exporter_many other")
    );
    assert_eq!(values_of(&page, "ebpf_exporter_many").len(), 100_000);
    assert_eq!(value_of(&page, SERIES), Some(10.0));
}

/// Latencies of pages while something happens; the last page must still come.
#[track_caller]
fn scrape_while(following: &Following, work: impl FnOnce()) -> Vec<Duration> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let scraper = scope.spawn(|| {
            let mut times = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let began = Instant::now();
                let page = following.exporter.page();
                times.push(began.elapsed());
                assert!(value_of(&page, SERIES).is_some(), "{page}");
                assert_eq!(
                    value_of(&page, "ebpf_exporter_config_scrape_success{config=\"good\"}"),
                    Some(1.0),
                    "{page}"
                );
            }
            times
        });
        let ending = Ending(&done);
        work();
        drop(ending);
        scraper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Median and slowest.
fn summary(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() - 1])
}

#[test]
fn no_scrape_fails_while_objects_are_replaced() {
    let calls = Workload::new();
    let start = || {
        let folder = Folder::new();
        folder.pair("good", &good_yaml("good"), &object(calls, "good", 64, 0));
        Following::start(folder, &["--config.watch=off"])
    };
    // Another exporter, of which nothing is changed, shows what the machine itself does to pages meanwhile.
    let (following, other) = (start(), start());
    calls.fire(10);
    let turns = turns(40, 100);
    let mut beside = Vec::new();
    let mut busy = scrape_while(&following, || {
        beside = scrape_while(&other, || {
            for turn in 1..=turns {
                following.put_object("good", &object(calls, "good", 64, turn % 2));
                following.reload_well();
            }
        });
    });
    assert_eq!(following.reloads("good", "success"), f64::from(turns));
    let ((median, slowest), (usual, usually_slowest)) = (summary(&mut busy), summary(&mut beside));
    println!(
        "{turns} reloads, {} scrapes: median {median:?}, slowest {slowest:?}: {:.1} medians; of an exporter beside it {usual:?} and {usually_slowest:?}",
        busy.len(),
        slowest.as_secs_f64() / median.as_secs_f64()
    );
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    assert_eq!(following.exporter.value(SERIES), Some(10.0));
}

/// The verifier takes its time for this one, beside which pages are served as always.
#[test]
fn a_slow_verification_delays_no_scrape() {
    let calls = Workload::new();
    let folder = Folder::new();
    folder.pair("good", &good_yaml("good"), &object(calls, "good", 64, 0));
    let following = Following::start(folder, &["--config.watch=off"]);
    calls.fire(10);
    // Each turn of each loop is a path of its own.
    let slow = calls.object(
        "struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } good SEC(\".maps\");",
        "u64 sum = 0;
         for (u32 turn = 0; turn < 60000; turn++) { sum += bpf_get_prandom_u32() & 1; if (sum > 1000000) return 0; }
         u32 key = 7; u64 *value = bpf_map_lookup_elem(&good, &key); if (value) __sync_fetch_and_add(value, sum ? 1 : 1);",
    );
    let mut quiet = scrape_while(&following, || std::thread::sleep(Duration::from_millis(300)));
    following.put_object("good", &slow);
    let mut took = Duration::ZERO;
    let mut busy = scrape_while(&following, || {
        let began = Instant::now();
        let said = following.reload().text();
        took = began.elapsed();
        assert!(said.contains("good: "), "{said}");
    });
    let ((usual, usually_slowest), (median, slowest)) = (summary(&mut quiet), summary(&mut busy));
    println!(
        "a reload of {took:?}, {} scrapes: median {median:?} (without {usual:?}, slowest {usually_slowest:?}), slowest {slowest:?}",
        busy.len()
    );
    assert!(busy.len() > 3, "{} pages in {took:?}", busy.len());
    assert!(slowest < took.max(Duration::from_secs(5)), "{slowest:?} of {took:?}");
}
