//! Pages that are too long to be held: they are sent while they are rendered.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use libbpf_rs::query::MapInfoIter;
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::common::exporter::{Answer, Exporter, value_of};
use crate::common::folder::Folder;

const ENTRIES: u32 = 300_000;

/// What a page of 25 MB may add to what is resident: the snapshot of 10 MB, the 16 MB that are held before
/// a page flows, and what is on its way.
const ALLOWED: u64 = 40 << 20;

const OBJECT: &str = r#"
struct key { u64 address; u32 number; char name[12]; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 400000); __type(key, struct key); __type(value, u64); } long_keys SEC(".maps");
"#;

const CONFIG: &str = "metrics:
  counters:
    - {name: long_total, help: h, map: long_keys, labels: [address, number, name]}
";

fn address(number: u32) -> u64 {
    u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// An exporter with all entries in a map whose name no other test has.
fn start(map: &str) -> Exporter {
    let folder = Folder::new();
    folder.compiled_pair("long", &CONFIG.replace("long_keys", map), &OBJECT.replace("long_keys", map));
    let exporter = Exporter::start(&[&folder.argument(), "--web.write-timeout=2s"]);
    let info = MapInfoIter::default().filter(|info| info.name.to_str() == Some(map)).last();
    let map = MapHandle::from_map_id(info.expect("the exporter has the map").id).unwrap();
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    for number in 0..ENTRIES {
        keys.extend(address(number).to_ne_bytes());
        keys.extend(number.to_ne_bytes());
        keys.extend(*b"some-worker\0");
        values.extend(u64::from(number * 3).to_ne_bytes());
    }
    map.update_batch(&keys, &values, ENTRIES, MapFlags::ANY, MapFlags::ANY).unwrap();
    exporter
}

fn request(coding: &str) -> String {
    format!("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {coding}\r\nConnection: close\r\n\r\n")
}

/// Every series once with its value, and the exporter's own families.
#[track_caller]
fn check(answer: &Answer, coding: &str) {
    let mut page = String::new();
    match coding {
        "gzip" => {
            flate2::bufread::GzDecoder::new(&answer.body[..]).read_to_string(&mut page).map(drop).unwrap();
        }
        "zstd" => {
            zstd::stream::read::Decoder::new(&answer.body[..])
                .unwrap()
                .read_to_string(&mut page)
                .map(drop)
                .unwrap();
        }
        _ => page = String::from_utf8(answer.body.clone()).unwrap(),
    }
    assert!(answer.head.to_ascii_lowercase().contains("transfer-encoding: chunked"), "{}", answer.head);
    let mut lines: Vec<&str> =
        page.lines().filter(|line| line.starts_with("ebpf_exporter_long_total{")).collect();
    let mut expected: Vec<String> = (0..ENTRIES)
        .map(|number| {
            let address = address(number);
            let labels = format!("address=\"{address}\",name=\"some-worker\",number=\"{number}\"");
            format!("ebpf_exporter_long_total{{{labels}}} {}", number * 3)
        })
        .collect();
    lines.sort_unstable();
    expected.sort_unstable();
    assert!(
        lines == expected,
        "{} lines, such as {:?} for {:?}",
        lines.len(),
        lines.first(),
        expected.first()
    );
    let series = "ebpf_exporter_metric_series{config=\"long\",metric=\"long_total\"}";
    assert_eq!(value_of(&page, series), Some(f64::from(ENTRIES)));
    assert_eq!(value_of(&page, "ebpf_exporter_config_scrape_success{config=\"long\"}"), Some(1.0));
}

/// Bytes of memory by a field of `/proc/PID/status`.
fn memory(exporter: &Exporter, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", exporter.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn long_pages_are_whole_whoever_shares_them_and_are_never_held() {
    let exporter = start("long_shared");
    // A first small answer, so that what the server needs is there.
    exporter.get("/-/healthy");
    let idle = memory(&exporter, "VmRSS:");
    for coding in ["identity", "gzip", "zstd"] {
        check(&exporter.request(&request(coding)), coding);
    }
    let peak = memory(&exporter, "VmHWM:");
    assert!(peak < idle + ALLOWED, "from {idle} to {peak} bytes");
    std::thread::scope(|scope| {
        for coding in ["identity", "gzip", "zstd", "identity", "gzip", "zstd"] {
            let exporter = &exporter;
            scope.spawn(move || check(&exporter.request(&request(coding)), coding));
        }
    });
}

#[test]
fn who_does_not_read_a_long_page_is_cut_and_holds_nobody_up() {
    let exporter = start("long_deaf");
    let begin = Instant::now();
    let mut deaf = TcpStream::connect(exporter.address()).unwrap();
    deaf.write_all(request("identity").as_bytes()).unwrap();
    let mut byte = [0];
    deaf.read_exact(&mut byte).unwrap();
    // It has its page by now, and reads nothing more of it.
    check(&exporter.request(&request("identity")), "identity");
    let cut = "ebpf_exporter_http_clients_cut_total{reason=\"not_reading\"}";
    let cuts = || {
        exporter
            .request(&request("identity"))
            .text()
            .lines()
            .filter_map(|line| line.strip_prefix(cut)?.trim().parse::<f64>().ok())
            .next()
    };
    while cuts() != Some(1.0) {
        assert!(begin.elapsed() < Duration::from_secs(60), "it is not cut");
    }
    let mut rest = Vec::new();
    let end = deaf.read_to_end(&mut rest);
    assert!(end.is_err() && !rest.ends_with(b"0\r\n\r\n"), "{end:?}");
}
