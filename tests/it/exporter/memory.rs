//! What a scrape leaves behind in memory.

use libbpf_rs::query::MapInfoIter;
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::common::exporter::{Exporter, values_of};
use crate::common::folder::Folder;

const WAVE: u32 = 40_000;
const WAVES: u32 = 25;

/// All keys that ever were would take 48 MB and more.
const ALLOWED: u64 = 16 << 20;

const OBJECT: &str = r#"
struct key { u64 address; u32 group; u32 number; char name[8]; };
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 50000); __type(key, struct key); __type(value, u64); } mem_keys SEC(".maps");
"#;

/// Each key of its own, and all keys of a group together.
const CONFIG: &str = "metrics:
  counters:
    - {name: each_total, help: h, map: mem_keys, labels: [address, group, number, name]}
    - {name: groups_total, help: h, map: mem_keys, labels: [group]}
";

fn resident(exporter: &Exporter) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{}/statm", exporter.pid())).unwrap();
    let pages: u64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size() as u64
}

#[test]
fn a_million_keys_passing_through_leave_nothing() {
    let folder = Folder::new();
    folder.compiled_pair("memory", CONFIG, OBJECT);
    let exporter = Exporter::start(&[&folder.argument()]);
    let info = MapInfoIter::default().filter(|info| info.name.to_str() == Some("mem_keys")).last();
    let map = MapHandle::from_map_id(info.expect("the exporter has the map").id).unwrap();
    let mut early = 0;
    for wave in 0..WAVES {
        let mut keys = Vec::new();
        for number in wave * WAVE..(wave + 1) * WAVE {
            keys.extend(u64::from(number).to_ne_bytes());
            keys.extend([(number % 3).to_ne_bytes(), number.to_ne_bytes()].concat());
            keys.extend(*b"worker\0\0");
        }
        map.update_batch(
            &keys,
            &1_u64.to_ne_bytes().repeat(WAVE as usize),
            WAVE,
            MapFlags::ANY,
            MapFlags::ANY,
        )
        .unwrap();
        let page = exporter.page();
        assert_eq!(values_of(&page, "ebpf_exporter_each_total").len(), WAVE as usize, "wave {wave}");
        let sum: f64 = values_of(&page, "ebpf_exporter_groups_total").iter().map(|(_, value)| value).sum();
        assert_eq!(sum, f64::from((wave + 1) * WAVE), "what has gone still counts");
        map.delete_batch(&keys, WAVE, MapFlags::ANY, MapFlags::ANY).unwrap();
        if wave == 4 {
            early = resident(&exporter);
        }
    }
    let late = resident(&exporter);
    assert!(late < early + ALLOWED, "resident after 200,000 keys: {early} bytes, after 1,000,000: {late}");
}
