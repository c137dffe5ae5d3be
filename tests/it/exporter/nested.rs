//! Maps of maps: inner ones that user space makes, replaces and takes away while programs write to them.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd};

use libbpf_rs::query::MapInfoIter;
use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};

use super::Workload;
use crate::common::exporter::Exporter;
use crate::common::folder::Folder;
use crate::common::kernel::create_map;

/// The map of this name that an exporter has just made: one that has ended leaves its own for a moment.
#[track_caller]
fn outer(name: &str) -> MapHandle {
    let named = |info: &libbpf_rs::query::MapInfo| info.name.as_os_str() == OsStr::new(name);
    let newest = MapInfoIter::default().filter(named).map(|info| info.id).max();
    MapHandle::from_map_id(newest.unwrap()).unwrap()
}

/// Puts an inner map under a key.
#[track_caller]
fn hold(outer: &MapHandle, key: &[u8], inner: &MapHandle) {
    outer.update(key, &inner.as_fd().as_raw_fd().to_ne_bytes(), MapFlags::ANY).unwrap();
}

/// How many descriptors of maps a process has.
fn map_descriptors(pid: u32) -> usize {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let links = entries.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    links.filter(|link| link.to_string_lossy().contains("bpf-map")).count()
}

/// A key of two members.
fn pair(one: u32, other: u32) -> Vec<u8> {
    [one.to_ne_bytes(), other.to_ne_bytes()].concat()
}

/// Counts each call under the inner key {1, 2} of the maps of the tenants 0 to 3 that there are.
const COUNT_ALL: &str = "
    for (u32 tenant = 0; tenant < 4; tenant++) {
        struct place place = { tenant, 7 };
        struct pair pair = { 1, 2 };
        void *inner = bpf_map_lookup_elem(&OUTER, &place);
        if (!inner) continue;
        increment_map(inner, &pair, 1);
    }";

fn hash_of_maps(name: &str) -> String {
    format!(
        "struct place {{ u32 tenant; u32 zone; }}; struct pair {{ u32 one; u32 other; }} a_pair;
struct inner {{ __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, struct pair); __type(value, u64); }};
struct {{ __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS); __uint(max_entries, 16); __type(key, struct place); __array(values, struct inner); }} {name} SEC(\".maps\");"
    )
}

const BY_NAME: &str = "labels: [{name: tenant, outer: true}, {name: area, outer: true, field: zone}, one, {name: two, field: other}]";

#[test]
fn inner_maps_come_and_go() {
    let (calls, folder) = (Workload::new(), Folder::new());
    let object = calls.object(&hash_of_maps("nest_come_go"), &COUNT_ALL.replace("OUTER", "nest_come_go"));
    let yaml = format!("metrics: {{counters: [{{name: n_total, map: nest_come_go, help: h, {BY_NAME}}}]}}");
    folder.pair("nest", &yaml, &object);
    let exporter = Exporter::start(&[&folder.argument()]);
    let outer = outer("nest_come_go");
    let new = || create_map(MapType::Hash, 8, 8, 64, 0);
    let shown = || {
        let mut samples = exporter.values("ebpf_exporter_n_total");
        samples.sort_by(|one, other| one.0["tenant"].cmp(&other.0["tenant"]));
        let text = |(labels, value): &(std::collections::BTreeMap<String, String>, f64)| {
            let label = |name: &str| labels[name].clone();
            format!("{} {} {} {} = {value}", label("tenant"), label("area"), label("one"), label("two"))
        };
        samples.iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(shown(), [""; 0]);
    let before = map_descriptors(exporter.pid());
    hold(&outer, &pair(0, 7), &new());
    hold(&outer, &pair(2, 7), &new());
    calls.fire(5);
    assert_eq!(shown(), ["0 7 1 2 = 5", "2 7 1 2 = 5"]);
    assert_eq!(map_descriptors(exporter.pid()), before + 2, "one for each inner map");
    calls.fire(3);
    assert_eq!(shown(), ["0 7 1 2 = 8", "2 7 1 2 = 8"]);
    assert_eq!(map_descriptors(exporter.pid()), before + 2, "they are kept");
    // One goes, one begins anew, one comes.
    outer.delete(&pair(0, 7)).unwrap();
    hold(&outer, &pair(2, 7), &new());
    hold(&outer, &pair(3, 7), &new());
    calls.fire(4);
    assert_eq!(shown(), ["2 7 1 2 = 4", "3 7 1 2 = 4"]);
    assert_eq!(map_descriptors(exporter.pid()), before + 2, "what is gone is closed");
    // The same map can be held twice.
    let shared = new();
    hold(&outer, &pair(2, 7), &shared);
    hold(&outer, &pair(3, 7), &shared);
    calls.fire(1);
    assert_eq!(shown(), ["2 7 1 2 = 2", "3 7 1 2 = 2"]);
    assert_eq!(map_descriptors(exporter.pid()), before + 1);
    assert_eq!(exporter.value("ebpf_exporter_map_entries{config=\"nest\",map=\"nest_come_go\"}"), Some(2.0));
}

/// By position the outer key comes first. What is missing in an array of maps is passed over.
#[test]
fn arrays_of_per_cpu_maps_by_position() {
    let (calls, folder) = (Workload::new(), Folder::new());
    let maps = "struct inner { __uint(type, BPF_MAP_TYPE_PERCPU_HASH); __uint(max_entries, 64); __type(key, u16); __type(value, u64); };
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 8); __type(key, u32); __array(values, struct inner); } nest_arrays SEC(\".maps\");";
    let body = "for (u32 i = 0; i < 8; i++) {
        u32 index = i;
        void *inner = bpf_map_lookup_elem(&nest_arrays, &index);
        if (!inner) continue;
        u16 key = 300;
        increment_map_nosync(inner, &key, 1);
    }";
    let yaml = "metrics:
  counters:
    - {name: n_total, map: nest_arrays, help: h, labels: [{name: index, size: 4, decoders: [{name: uint}]}, {name: key, size: 2, decoders: [{name: uint}]}]}
    - {name: by_cpu_total, map: nest_arrays, help: h, labels: [{name: index, outer: true}, key, cpu]}
    - {name: all_total, map: nest_arrays, help: h, labels: [key]}";
    folder.pair("nest", yaml, &calls.object(maps, body));
    let exporter = Exporter::start(&[&folder.argument()]);
    let outer = outer("nest_arrays");
    for index in [1_u32, 6] {
        hold(&outer, &index.to_ne_bytes(), &create_map(MapType::PercpuHash, 2, 8, 64, 0));
    }
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| calls.fire(500));
        }
    });
    let page = exporter.page();
    for index in [1, 6] {
        let series = format!("ebpf_exporter_n_total{{index=\"{index}\",key=\"300\"}}");
        assert_eq!(exporter.value(&series), Some(2000.0), "{page}");
    }
    assert_eq!(exporter.value("ebpf_exporter_all_total{key=\"300\"}"), Some(4000.0), "{page}");
    let split = exporter.values("ebpf_exporter_by_cpu_total");
    assert_eq!(split.len(), 2 * std::thread::available_parallelism().unwrap().get(), "{page}");
    assert_eq!(split.iter().map(|(_, value)| value).sum::<f64>(), 4000.0, "{page}");
}

/// Slots by key and in an array; an inner map that the object itself brings.
#[test]
fn histograms_of_inner_maps() {
    let (calls, folder) = (Workload::new(), Folder::new());
    let maps = "struct slots { u64 slots[8]; u64 sum; };
struct rows { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, struct slots); } own SEC(\".maps\");
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 2); __type(key, u32); __array(values, struct rows); } nest_slots SEC(\".maps\") = { .values = { [1] = &own } };
struct by_slot { u32 kind; u32 slot; } a_slot;
struct keyed { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, struct by_slot); __type(value, u64); } first SEC(\".maps\");
struct { __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS); __uint(max_entries, 4); __type(key, u64); __array(values, struct keyed); } nest_keyed SEC(\".maps\");";
    let body = "u32 index = 1, zero = 0; u64 id = 99;
    void *inner = bpf_map_lookup_elem(&nest_slots, &index);
    struct slots *slots = inner ? bpf_map_lookup_elem(inner, &zero) : 0;
    if (slots) { __sync_fetch_and_add(&slots->slots[2], 1); __sync_fetch_and_add(&slots->sum, 5); }
    inner = bpf_map_lookup_elem(&nest_keyed, &id);
    if (inner) {
        struct by_slot key = { 3, 1 };
        increment_map(inner, &key, 1);
    }";
    let yaml = "metrics:
  histograms:
    - {name: lengths, map: nest_slots, help: h, bucket_type: log2, slots: slots, sum: sum, labels: [{name: index, outer: true}]}
    - {name: sizes, map: nest_keyed, help: h, bucket_type: exp2, bucket_max: 4, bucket: slot, labels: [{name: id, outer: true}, kind]}";
    folder.pair("nest", yaml, &calls.object(maps, body));
    let exporter = Exporter::start(&[&folder.argument()]);
    hold(&outer("nest_keyed"), &99_u64.to_ne_bytes(), &create_map(MapType::Hash, 8, 8, 64, 0));
    calls.fire(11);
    let page = exporter.page();
    let expected = [
        ("ebpf_exporter_lengths_bucket{index=\"1\",le=\"7\"}", 11.0),
        ("ebpf_exporter_lengths_bucket{index=\"1\",le=\"3\"}", 0.0),
        ("ebpf_exporter_lengths_sum{index=\"1\"}", 55.0),
        ("ebpf_exporter_sizes_count{id=\"99\",kind=\"3\"}", 11.0),
        ("ebpf_exporter_sizes_bucket{id=\"99\",kind=\"3\",le=\"1\"}", 0.0),
        ("ebpf_exporter_sizes_bucket{id=\"99\",kind=\"3\",le=\"2\"}", 11.0),
    ];
    for (series, value) in expected {
        assert_eq!(exporter.value(series), Some(value), "{series}: {page}");
    }
}

/// Inner maps are exchanged without a pause while they are read: no scrape fails, and what stays is always whole.
#[test]
fn inner_maps_that_change_under_a_scrape_cost_nothing() {
    let (calls, folder) = (Workload::new(), Folder::new());
    let object = calls.object(&hash_of_maps("nest_race"), &COUNT_ALL.replace("OUTER", "nest_race"));
    let yaml = format!("metrics: {{counters: [{{name: n_total, map: nest_race, help: h, {BY_NAME}}}]}}");
    folder.pair("nest", &yaml, &object);
    let exporter = Exporter::start(&[&folder.argument()]);
    let outer = outer("nest_race");
    let steady = create_map(MapType::Hash, 8, 8, 64, 0);
    hold(&outer, &pair(0, 7), &steady);
    calls.fire(9);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                for tenant in 10..20 {
                    hold(&outer, &pair(tenant, 7), &create_map(MapType::Hash, 8, 8, 64, 0));
                }
                let _ = outer.delete(&pair(13, 7));
            }
        });
        let steady = "ebpf_exporter_n_total{area=\"7\",one=\"1\",tenant=\"0\",two=\"2\"}";
        let values: Vec<_> = (0..100).map(|_| exporter.value(steady)).collect();
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(values, vec![Some(9.0); 100], "{}", exporter.page());
    });
}

/// Opening inner maps takes a capability. Threads that serve scrapes do not have it: one opens for them.
#[test]
fn inner_maps_take_a_capability() {
    let (calls, folder) = (Workload::new(), Folder::new());
    let object = calls.object(&hash_of_maps("nest_rights"), &COUNT_ALL.replace("OUTER", "nest_rights"));
    let yaml = format!("metrics: {{counters: [{{name: n_total, map: nest_rights, help: h, {BY_NAME}}}]}}");
    folder.pair("nest", &yaml, &object);
    let series = "ebpf_exporter_n_total{area=\"7\",one=\"1\",tenant=\"1\",two=\"2\"}";
    for (keep, expected) in [("cap_bpf,cap_sys_admin", Some(2.0)), ("cap_bpf", None)] {
        let exporter = Exporter::start(&[&folder.argument(), &format!("--capabilities.keep={keep}")]);
        hold(&outer("nest_rights"), &pair(1, 7), &create_map(MapType::Hash, 8, 8, 64, 0));
        calls.fire(2);
        assert_eq!(exporter.value(series), expected, "{keep}: {}", exporter.page());
        let (_, log) = exporter.stop();
        assert_eq!(
            log.contains("the kernel wants CAP_SYS_ADMIN for that: keep it"),
            expected.is_none(),
            "{log}"
        );
    }
}
