use bpftally::bpf::{Attaching, MapSource, Method, Options, prepare};
use bpftally::spec::MapDefinition;
use libbpf_rs::query::MapInfoIter;
use libbpf_rs::{MapCore, MapHandle, MapType};

use crate::common::kernel::{create_map, host, load, load_spec, put, rows, source, try_load};

const MMAPABLE: u32 = libbpf_sys::BPF_F_MMAPABLE;

/// A source that reads a map in the way it chooses itself.
#[track_caller]
fn chosen(map: &MapHandle) -> MapSource {
    MapSource::new(std::os::fd::AsFd::as_fd(map).try_clone_to_owned().unwrap()).unwrap()
}

#[track_caller]
fn check(value_size: u32, capacity: u32) {
    let map = create_map(MapType::Array, 4, value_size, capacity, MMAPABLE);
    for number in (0..capacity).step_by(7).chain([capacity - 1]) {
        let value: Vec<u8> = (0..value_size).map(|byte| (number * 31 + byte) as u8).collect();
        put(&map, &number.to_ne_bytes(), &value);
    }
    let mapped = chosen(&map);
    assert_eq!(mapped.method(), Method::Mapped, "{value_size} bytes, {capacity} entries");
    let by_batches = rows(&source(&map, Method::Batch));
    assert!(rows(&mapped) == by_batches, "{value_size} bytes, {capacity} entries");
}

#[test]
fn a_mapped_array_holds_what_batches_say() {
    for value_size in [1, 3, 4, 7, 8, 12, 16, 100, 4096, 5000] {
        for capacity in [64, 65, 1000] {
            check(value_size, capacity);
        }
    }
    // Many windows, most of which do not begin with a page.
    check(8, 100_000);
    check(24, 30_011);
    check(300_000, 64);
}

#[test]
fn other_maps_are_not_mapped() {
    for (kind, capacity, flags) in [
        (MapType::Array, 1000, 0),
        // So few are read faster by one call.
        (MapType::Array, 63, MMAPABLE),
        (MapType::PercpuArray, 1000, 0),
        (MapType::Hash, 1000, 0),
    ] {
        let map = create_map(kind, 4, 8, capacity, flags);
        assert_eq!(chosen(&map).method(), Method::Batch, "{kind:?} of {capacity}, flags {flags}");
    }
}

const OBJECT: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 10000); __type(key, u32); __type(value, u64); } mpd_large SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 100); __type(key, u32); __type(value, u64); } mpd_small SEC(".maps");
struct locked { struct bpf_spin_lock lock; u32 number; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 10000); __type(key, u32); __type(value, struct locked); } mpd_locked SEC(".maps");
"#;

const NESTED: &str = r#"
struct inner { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 10000); __type(key, u32); __type(value, u64); } mpd_inner SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 1); __type(key, u32); __array(values, struct inner); } mpd_outer SEC(".maps") = { .values = { &mpd_inner } };
"#;

#[track_caller]
fn flags(map: &str) -> u32 {
    let info = MapInfoIter::default().filter(|info| info.name.to_str() == Some(map)).last();
    info.unwrap_or_else(|| panic!("no map {map}")).map_flags
}

#[test]
fn large_plain_arrays_are_made_mappable() {
    let loaded = load("mapped", OBJECT);
    assert_eq!(flags("mpd_large") & MMAPABLE, MMAPABLE);
    assert_eq!(flags("mpd_small") & MMAPABLE, 0, "it would take a page, and a batch is as fast");
    let view = loaded.view();
    for (map, capacity) in [("mpd_large", 10_000_u32), ("mpd_small", 100), ("mpd_locked", 10_000)] {
        let handle = MapInfoIter::default().filter(|info| info.name.to_str() == Some(map)).last().unwrap();
        let handle = MapHandle::from_map_id(handle.id).unwrap();
        let number = |number: u32| (u64::from(number) << 32).to_ne_bytes();
        for key in 0..capacity {
            handle.update(&key.to_ne_bytes(), &number(key), libbpf_rs::MapFlags::ANY).unwrap();
        }
        let mut expected: Vec<_> =
            (0..capacity).map(|key| (key.to_ne_bytes().to_vec(), number(key).to_vec())).collect();
        expected.sort();
        let source = view.source(map).unwrap();
        assert_eq!(source.max_entries(), Some(u64::from(capacity)));
        assert!(rows(source.as_ref()) == expected, "{map}");
    }
}

#[test]
fn a_mappable_array_is_handed_over() {
    let source = OBJECT.replace("mpd_", "mph_");
    let mut spec = load_spec("handed", &source);
    spec.carried = vec![MapDefinition { name: "mph_large".into(), ..MapDefinition::default() }];
    let mut running = try_load(&spec).unwrap_or_else(|why| panic!("{why:#?}"));
    let ids = || MapInfoIter::default().filter(|info| info.name.to_str() == Some("mph_large")).count();
    let (host, options) = (host(), Options::default());
    let prepared = prepare(&spec, &host, &options, Some(&running)).unwrap_or_else(|why| panic!("{why:#?}"));
    let next = prepared.commit(&host, &options, Attaching::AsFarAsPossible, Some(&mut running)).unwrap();
    assert_eq!(next.carried(), ["mph_large"]);
    assert_eq!(ids(), 1, "both use the same map");
    assert_eq!(rows(next.view().source("mph_large").unwrap().as_ref()).len(), 10_000);
}

#[test]
fn an_inner_map_keeps_its_flags() {
    let _loaded = load("nested", NESTED);
    assert_eq!(flags("mpd_inner"), 0);
}
