use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use libbpf_rs::query::MapInfoIter;
use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};

use crate::common::exporter::{Exporter, values_of};
use crate::common::folder::Folder;
use crate::common::objects::compile;

/// Kinds of maps, by names that no other test uses.
const KINDS: [(&str, &str, u32); 6] = [
    ("HASH", "prs_hash", 0),
    ("HASH", "prs_hash_np", libbpf_sys::BPF_F_NO_PREALLOC),
    ("LRU_HASH", "prs_lru", 0),
    ("PERCPU_HASH", "prs_percpu", 0),
    ("PERCPU_HASH", "prs_percpu_np", libbpf_sys::BPF_F_NO_PREALLOC),
    ("LRU_PERCPU_HASH", "prs_lru_percpu", 0),
];

const STABLE: u32 = 1500;

fn start() -> Exporter {
    let (mut source, mut yaml) = (String::new(), String::from("metrics:\n  counters:\n"));
    for (kind, name, flags) in KINDS {
        source += &format!(
            "struct {{ __uint(type, BPF_MAP_TYPE_{kind}); __uint(max_entries, 20000); __uint(map_flags, {flags}); __type(key, u32); __type(value, u64); }} {name} SEC(\".maps\");\n"
        );
        yaml += &format!(
            "    - {{name: {name}, help: h, labels: [{{name: k, size: 4, decoders: [{{name: uint}}]}}]}}\n"
        );
    }
    let folder = Folder::new();
    folder.pair("pressure", &yaml, &compile(&source));
    Exporter::start(&[&folder.argument()])
}

fn map(name: &str) -> MapHandle {
    let info = MapInfoIter::default().filter(|info| info.name.to_str() == Some(name)).last();
    MapHandle::from_map_id(info.expect("the exporter has the map").id).unwrap()
}

/// Puts a value; of per-CPU maps twice the value is on the first CPU, and nothing on the others.
fn put(map: &MapHandle, key: u32, value: u64) {
    let is_per_cpu = matches!(map.map_type(), MapType::PercpuHash | MapType::LruPercpuHash);
    if is_per_cpu {
        let mut values = vec![vec![0; 8]; libbpf_rs::num_possible_cpus().unwrap()];
        values[0] = (value * 2).to_ne_bytes().to_vec();
        map.update_percpu(&key.to_ne_bytes(), &values, MapFlags::ANY).unwrap();
    } else {
        map.update(&key.to_ne_bytes(), &value.to_ne_bytes(), MapFlags::ANY).unwrap();
    }
}

/// Every stable key once and with its value.
#[track_caller]
fn check(page: &str) {
    for (kind, name, _) in KINDS {
        let factor = if kind.contains("PERCPU") { 2.0 } else { 1.0 };
        let mut seen: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for (labels, value) in values_of(page, &format!("ebpf_exporter_{name}")) {
            seen.entry(labels["k"].parse().unwrap()).or_default().push(value);
        }
        for key in 0..STABLE {
            assert_eq!(seen.get(&key), Some(&vec![f64::from(key * 3 + 1) * factor]), "{name}: {key}");
        }
        assert!(seen.values().all(|values| values.len() == 1), "{name}: a key is there twice");
    }
}

/// Stable keys beside others that come and go, read over HTTP by many clients at a time.
#[test]
fn pages_are_whole_under_churn_and_side_by_side() {
    let exporter = start();
    let maps = KINDS.map(|(_, name, _)| map(name));
    for map in &maps {
        (0..STABLE).for_each(|key| put(map, key, u64::from(key) * 3 + 1));
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut turn = 0_u32;
            while !done.load(Ordering::Relaxed) {
                for map in &maps {
                    let key = 1_000_000 + turn.wrapping_mul(2_654_435_761) % 2000;
                    if turn.is_multiple_of(3) {
                        let _ = map.delete(&key.to_ne_bytes());
                    } else {
                        put(map, key, 7);
                    }
                }
                turn += 1;
            }
        });
        let scrapes: Vec<_> = (0..24).map(|_| scope.spawn(|| check(&exporter.page()))).collect();
        let outcomes: Vec<_> = scrapes.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        assert!(outcomes.iter().all(Result::is_ok));
    });
}

/// What came and went leaves nothing behind in the exporter: descriptors, threads.
#[test]
fn scrapes_leave_nothing_behind() {
    let folder = Folder::new();
    let object = compile(
        "struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } prs_left SEC(\".maps\");",
    );
    folder.pair(
        "left",
        "metrics: {counters: [{name: prs_left, help: h, labels: [{name: k, size: 4, decoders: [{name: uint}]}]}]}",
        &object,
    );
    let exporter = Exporter::start(&[&folder.argument()]);
    let count = |what: &str| std::fs::read_dir(format!("/proc/{}/{what}", exporter.pid())).unwrap().count();
    let scrape = |times: u32| (0..times).for_each(|_| drop(exporter.page()));
    scrape(20);
    let before = (count("fd"), count("task"));
    scrape(300);
    let after = (count("fd"), count("task"));
    // A connection that was just closed may still be counted, and the pool that answers grows when one of
    // its threads is slow to end its last answer. What each scrape leaves would be 300.
    assert!(after.0 <= before.0 + 2 && after.1 <= before.1 + 20, "{before:?} became {after:?}");
}
