//! Names of members, from the YAML to the page, with exact values.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bpftally::config::{ConfigFile, Insecure, Options, check_text};
use bpftally::page::Coding;
use bpftally::scrape::{Generation, Live, Member, ScrapeOptions, Scraper, Settings};
use bpftally::snapshot::{Batch, Limits, NamedSource, ReadError, ReadStatistics, Shape, Source, View};

use super::Workload;
use crate::common::exporter::{Exporter, value_of, values_of};
use crate::common::folder::Folder;
use crate::common::kernel;
use crate::common::objects::Object;

/// Serves a config while calls are made from four threads, and returns the page.
#[track_caller]
fn page_after(calls: Workload, times: u64, maps: &str, body: &str, yaml: &str) -> String {
    let folder = Folder::new();
    folder.pair("named", yaml, &calls.object(maps, body));
    let exporter = Exporter::start(&[&folder.argument()]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| calls.fire(times / 4));
        }
    });
    let page = exporter.page();
    assert!(!exporter.log().contains("level=warn"), "{}", exporter.log());
    page
}

/// The page has exactly these series of a family.
#[track_caller]
fn check(page: &str, family: &str, expected: &[&str]) {
    let name = format!("ebpf_exporter_{family}");
    let mut found: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix(&name).filter(|rest| rest.starts_with(['{', ' ', '_'])))
        .collect();
    found.sort_unstable();
    assert_eq!(found, expected, "{page}");
}

/// A map of some kind from `struct key` to `struct value`.
fn map(kind: &str) -> String {
    format!(
        "struct {{ __uint(type, BPF_MAP_TYPE_{kind}); __uint(max_entries, 64); __type(key, struct key); __type(value, struct value); }} m SEC(\".maps\");"
    )
}

/// Finds the value of `key`, or makes an empty one.
const LOOKUP: &str = "struct value empty = {}, *value = bpf_map_lookup_elem(&m, &key); \
    if (!value) { bpf_map_update_elem(&m, &key, &empty, BPF_NOEXIST); value = bpf_map_lookup_elem(&m, &key); } if (!value) return 0;";

const TRAFFIC: &str = "struct key { u32 ifindex; u32 queue; }; struct value { u32 flags; u64 packets; s64 balance; u64 bytes; };";

#[test]
fn a_struct_gives_several_metrics() {
    let body = format!(
        "struct key key = {{ 1, 7 }}; {LOOKUP} value->flags = 5; __sync_fetch_and_add(&value->packets, 1); \
         __sync_fetch_and_add(&value->bytes, 1500); __sync_fetch_and_add(&value->balance, -3);"
    );
    let yaml = "metrics:
  counters:
    - {name: packets_total, help: h, map: m, value: packets, labels: [{name: device, field: ifindex, decoders: [ifname]}]}
    - {name: bytes_total, help: h, map: m, value: bytes, labels: [ifindex, queue]}
  gauges:
    - {name: balance, help: h, map: m, value: balance, labels: [queue]}
    - {name: flags, help: h, map: m, value: flags, labels: [queue]}
";
    for kind in ["HASH", "LRU_HASH"] {
        let page = page_after(Workload::new(), 2000, &format!("{TRAFFIC} {}", map(kind)), &body, yaml);
        check(&page, "packets_total", &[r#"{device="lo"} 2000"#]);
        check(&page, "bytes_total", &[r#"{ifindex="1",queue="7"} 3000000"#]);
        check(&page, "balance", &[r#"{queue="7"} -6000"#]);
        check(&page, "flags", &[r#"{queue="7"} 5"#]);
    }
}

#[test]
fn per_cpu_structs_are_summed_member_by_member_or_split() {
    let body = format!(
        "struct key key = {{ 1, 7 }}; {LOOKUP} value->packets += 1; value->bytes += 1500; value->balance -= 3;"
    );
    let yaml = "metrics:
  counters:
    - {name: packets_total, help: h, map: m, value: packets, labels: [queue]}
    - {name: bytes_total, help: h, map: m, value: bytes, labels: [queue, cpu]}
  gauges:
    - {name: balance, help: h, map: m, value: balance, labels: [queue]}
";
    for kind in ["PERCPU_HASH", "LRU_PERCPU_HASH"] {
        let page = page_after(Workload::new(), 2000, &format!("{TRAFFIC} {}", map(kind)), &body, yaml);
        check(&page, "packets_total", &[r#"{queue="7"} 2000"#]);
        check(&page, "balance", &[r#"{queue="7"} -6000"#]);
        let cpus = values_of(&page, "ebpf_exporter_bytes_total");
        assert_eq!(cpus.len(), std::thread::available_parallelism().unwrap().get(), "{page}");
        assert_eq!(cpus.iter().map(|(_, value)| value).sum::<f64>(), 3_000_000.0, "{page}");
        assert!(cpus.iter().all(|(labels, _)| labels["queue"] == "7"), "{page}");
    }
}

const HISTOGRAM: &str = "struct key { u32 id; }; struct value { u64 sum; u32 slots[6]; u64 count; };";

/// Observes 0, 1, 2, ... 39 in turn: slots of log2, the last for 32 and more.
const OBSERVE: &str = "u64 seen = __sync_fetch_and_add(&turn, 1) % 40, slot = seen >= 32 ? 5 : seen >= 16 ? 4 : seen >= 8 ? 3 : seen >= 4 ? 2 : seen >= 2 ? 1 : 0;";

const BUCKETS: [(&str, u64); 6] = [("1", 2), ("3", 4), ("7", 8), ("15", 16), ("31", 32), ("+Inf", 40)];

#[track_caller]
fn check_log2(page: &str, times: u64) {
    let buckets: Vec<(String, f64)> = values_of(page, "ebpf_exporter_size_bucket")
        .into_iter()
        .map(|(labels, value)| (labels["le"].clone(), value))
        .collect();
    let expected = BUCKETS.map(|(le, count)| (le.to_owned(), (count * times / 40) as f64));
    assert_eq!(buckets, expected, "{page}");
    assert_eq!(value_of(page, "ebpf_exporter_size_count{id=\"3\"}"), Some(times as f64), "{page}");
    assert_eq!(value_of(page, "ebpf_exporter_size_sum{id=\"3\"}"), Some((780 * times / 40) as f64), "{page}");
}

#[test]
fn slots_in_a_value_are_a_histogram() {
    let yaml = "metrics: {histograms: [{name: size, help: h, map: m, bucket_type: log2, slots: slots, sum: sum, labels: [id]}]}";
    let tell = "if (slot > 5) return 0; __sync_fetch_and_add(&value->slots[slot], 1);";
    let rest = "__sync_fetch_and_add(&value->sum, seen); __sync_fetch_and_add(&value->count, 1);";
    let key = format!("struct key key = {{ 3 }}; {LOOKUP} {OBSERVE}");
    for kind in ["HASH", "PERCPU_HASH"] {
        let maps = format!("u64 turn = 0; {HISTOGRAM} {}", map(kind));
        let page = page_after(Workload::new(), 4000, &maps, &format!("{key} {rest} {tell}"), yaml);
        check_log2(&page, 4000);
    }
    // What the program leaves out of its slots is in its count.
    let maps = format!("u64 turn = 0; {HISTOGRAM} {}", map("HASH"));
    let body = format!("{key} {rest} if (seen >= 36) return 0; {tell}");
    let counted = yaml.replace("sum: sum", "sum: sum, count: count");
    check_log2(&page_after(Workload::new(), 4000, &maps, &body, &counted), 4000);
    // Without either, both are told as far as they are known.
    let page = page_after(Workload::new(), 4000, &maps, &body, &yaml.replace("sum: sum, ", ""));
    assert_eq!(value_of(&page, "ebpf_exporter_size_count{id=\"3\"}"), Some(3600.0), "{page}");
    assert!(page.contains("ebpf_exporter_size_sum{id=\"3\"} NaN"), "{page}");
}

#[test]
fn a_bucket_is_any_member_of_the_key() {
    let types = "struct key { u32 slot : 6, kind : 2; u8 operation; }; struct value { u64 events; };";
    let body = format!(
        "struct key key = {{}}; {OBSERVE} key.slot = slot; key.kind = 2; key.operation = 1; {LOOKUP} __sync_fetch_and_add(&value->events, 1);"
    );
    let page = page_after(
        Workload::new(),
        4000,
        &format!("u64 turn = 0; {types} {}", map("HASH")),
        &body,
        "metrics: {histograms: [{name: size, help: h, map: m, bucket_type: log2, bucket_max: 5, bucket: slot, labels: [operation, kind]}]}",
    );
    let mut expected: Vec<String> = BUCKETS
        .iter()
        .map(|(le, count)| format!("_bucket{{kind=\"2\",operation=\"1\",le=\"{le}\"}} {}", count * 100))
        .collect();
    expected.push("_count{kind=\"2\",operation=\"1\"} 4000".to_owned());
    expected.push("_sum{kind=\"2\",operation=\"1\"} 0".to_owned());
    expected.sort_unstable();
    check(&page, "size", &expected.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn keys_are_taken_apart_by_name() {
    let types = "
enum state { IDLE, BUSY = 3 };
struct endpoint { u16 port; union { u32 four; u8 bytes[4]; }; } __attribute__((packed));
struct key { u8 version; struct endpoint ends[2]; _Bool up : 1; int level : 5; u64 id : 50; enum state state; char comm[5]; s16 code; u8 mac[6]; } __attribute__((packed));
struct value { u64 n; };";
    let body = format!(
        "struct key key = {{}}; key.version = 4; key.ends[0].port = 80; key.ends[1].port = __builtin_bswap16(443);
         key.ends[1].four = __builtin_bswap32(0x7f000001); key.up = 1; key.level = -7; key.id = (1ULL << 49) | 5; key.state = BUSY;
         key.comm[0] = 'o'; key.comm[1] = 'k'; key.code = -2; key.mac[0] = 0x52; key.mac[5] = 0xff; {LOOKUP} __sync_fetch_and_add(&value->n, 1);"
    );
    let yaml = "
metrics:
  counters:
    - name: m
      help: h
      value: n
      labels:
        - version
        - up
        - level
        - id
        - state
        - comm
        - code
        - mac
        - {name: error, field: code, decoders: [errno]}
        - {name: local_port, field: 'ends[0].port'}
        - {name: peer_port, field: 'ends[1].port', decoders: [port]}
        - {name: peer, field: 'ends[1].four', decoders: [inet_ip]}
        - {name: peer_hex, field: 'ends[1].bytes'}
        - {name: station, field: mac, decoders: [mac]}
        - name: busy
          field: state
          decoders:
            - {name: static_map, static_map: {3: 'yes', 0: 'no'}}
";
    let page = page_after(Workload::new(), 400, &format!("{types} {}", map("HASH")), &body, yaml);
    check(
        &page,
        "m",
        &[concat!(
            r#"{busy="yes",code="-2",comm="ok",error="ENOENT",id="562949953421317",level="-7",local_port="80","#,
            r#"mac="5200000000ff",peer="127.0.0.1",peer_hex="7f000001",peer_port="443",state="BUSY","#,
            r#"station="52:00:00:00:00:ff",up="true",version="4"} 400"#
        )],
    );
}

/// What no label names is summed over, whatever is in it.
#[test]
fn unnamed_members_are_summed_over() {
    let types = "struct key { u32 id; u32 turn : 3, rest : 29; }; struct value { u64 n; };";
    let body = format!(
        "u64 now = __sync_fetch_and_add(&turn, 1); struct key key = {{ .id = now % 2, .turn = now % 8, .rest = now % 3 }}; {LOOKUP} __sync_fetch_and_add(&value->n, 1);"
    );
    let page = page_after(
        Workload::new(),
        2400,
        &format!("u64 turn = 0; {types} {}", map("HASH")),
        &body,
        "metrics:
  counters:
    - {name: by_id, map: m, help: h, value: n, labels: [id]}
    - {name: by_rest, map: m, help: h, value: n, labels: [rest]}
    - {name: by_both, map: m, help: h, value: n, labels: [id, {name: third, field: rest}]}
",
    );
    check(&page, "by_id", &[r#"{id="0"} 1200"#, r#"{id="1"} 1200"#]);
    check(&page, "by_rest", &[r#"{rest="0"} 800"#, r#"{rest="1"} 800"#, r#"{rest="2"} 800"#]);
    assert_eq!(values_of(&page, "ebpf_exporter_by_both").len(), 6, "{page}");
    assert!(values_of(&page, "ebpf_exporter_by_both").iter().all(|(_, value)| *value == 400.0), "{page}");
}

/// A source that counts how often it is read.
struct Counted {
    source: Arc<dyn Source>,
    reads: AtomicUsize,
}

impl Source for Counted {
    fn shape(&self) -> Shape {
        self.source.shape()
    }

    fn max_entries(&self) -> Option<u64> {
        self.source.max_entries()
    }

    fn read(
        &self,
        limits: &Limits,
        push: &mut dyn FnMut(Batch<'_>) -> Result<(), ReadError>,
    ) -> Result<ReadStatistics, ReadError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.source.read(limits, push)
    }
}

/// Packets, bytes and sizes of one map, from one read of it.
#[test]
fn all_metrics_of_a_map_share_one_read() {
    let calls = Workload::new();
    let types = "struct key { u32 id; }; struct value { u64 packets; u64 bytes; u32 slots[4]; };";
    let body = format!(
        "struct key key = {{ 3 }}; {LOOKUP} __sync_fetch_and_add(&value->packets, 1); __sync_fetch_and_add(&value->bytes, 100); __sync_fetch_and_add(&value->slots[1], 1);"
    );
    let object = Object::read(calls.object(&format!("{types} {}", map("HASH")), &body));
    let host = Arc::new(kernel::host());
    let options = Options {
        namespace: String::new(),
        max_series: None,
        object_dir: None,
        host,
        insecure: Insecure::Allowed,
    };
    let text = "metrics:
  counters:
    - {name: packets_total, map: m, help: h, value: packets, labels: [id]}
    - {name: bytes_total, map: m, help: h, value: bytes, labels: [id]}
  histograms:
    - {name: sizes, map: m, help: h, bucket_type: log2, slots: slots, sum: bytes, count: packets, labels: [id]}
";
    let checked = check_text(&ConfigFile::new("/configs/shared.yaml"), text, &object.file(), &options);
    assert!(checked.problems.is_empty(), "{:#?}", checked.problems);
    let spec = checked.spec.unwrap();
    let loaded = kernel::try_load(&spec.load).unwrap();
    let view = loaded.view();
    let source = Arc::clone(view.source("m").unwrap());
    let counted = Arc::new(Counted { source, reads: AtomicUsize::new(0) });
    let sources = vec![NamedSource { map: "m".to_owned(), source: counted.clone() }];
    let member = Member { view_spec: spec.view, view: View { sources, ..view } };
    let scraper =
        Scraper::new(Arc::new(Live::new(Generation::plan(vec![member], Vec::new()))), Settings::default());
    calls.fire(30);
    for scrape in 1..=3 {
        let deadline = Instant::now() + Duration::from_secs(10);
        let page = scraper.scrape(&ScrapeOptions { deadline, coding: Coding::Identity });
        let page = String::from_utf8(page.chunks.concat()).unwrap();
        for (series, value) in [
            ("packets_total{id=\"3\"}", 30.0),
            ("bytes_total{id=\"3\"}", 3000.0),
            ("sizes_bucket{id=\"3\",le=\"1\"}", 0.0),
            ("sizes_bucket{id=\"3\",le=\"3\"}", 30.0),
            ("sizes_sum{id=\"3\"}", 3000.0),
            ("sizes_count{id=\"3\"}", 30.0),
        ] {
            assert_eq!(value_of(&page, series), Some(value), "{series}: {page}");
        }
        assert_eq!(counted.reads.load(Ordering::SeqCst), scrape);
    }
    loaded.retire();
}
