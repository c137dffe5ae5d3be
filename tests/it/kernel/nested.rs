//! Maps of maps: bounds of a read, and inner maps that are not what was declared.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bpftally::snapshot::{Limits, ReadError, Room, Source};
use bpftally::spec::NestedMap;
use libbpf_rs::query::MapInfoIter;
use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};

use crate::common::kernel::{create_map, limits, load_spec, put, rows, try_load, try_rows};

/// A hash of hashes, as a scrape sees it and as user space does.
#[track_caller]
fn nested(name: &str, value_size: u32) -> (bpftally::bpf::Loaded, Arc<dyn Source>, MapHandle) {
    let source = format!(
        "struct inner {{ __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, u64); }};
struct {{ __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS); __uint(max_entries, 1000); __type(key, u32); __array(values, struct inner); }} {name} SEC(\".maps\");
SEC(\"?tp/sched/sched_switch\") int nothing(void *ctx) {{ return 0; }}"
    );
    let mut spec = load_spec("nested", &source);
    spec.nested = vec![NestedMap { name: name.into(), kind: 1, key_size: 4, value_size }];
    let loaded = try_load(&spec).unwrap();
    let source = Arc::clone(loaded.view().source(name).unwrap());
    let own = |info: &libbpf_rs::query::MapInfo| info.name.to_str() == Some(name);
    let id = MapInfoIter::default().filter(own).map(|info| info.id).max().unwrap();
    (loaded, source, MapHandle::from_map_id(id).unwrap())
}

/// Puts an inner map with one entry under a key.
#[track_caller]
fn hold(outer: &MapHandle, key: u32) {
    let inner = create_map(MapType::Hash, 4, 8, 8, 0);
    put(&inner, &7_u32.to_ne_bytes(), &u64::from(key).to_ne_bytes());
    outer.update(&key.to_ne_bytes(), &inner.as_fd().as_raw_fd().to_ne_bytes(), MapFlags::ANY).unwrap();
}

/// More than there are descriptors kept for.
#[test]
fn every_inner_map_is_read_however_many_there_are() {
    let (loaded, source, outer) = nested("nest_many", 8);
    assert_eq!(rows(source.as_ref()), []);
    (0..700).for_each(|key| hold(&outer, key));
    for _ in 0..2 {
        let found = rows(source.as_ref());
        let keys = |key: u32| [key.to_ne_bytes(), 7_u32.to_ne_bytes()].concat();
        let mut expected: Vec<_> =
            (0..700).map(|key| (keys(key), u64::from(key).to_ne_bytes().to_vec())).collect();
        expected.sort();
        assert_eq!(found, expected);
    }
    assert_eq!((source.max_entries(), source.room(), source.expected_entries()), (None, Room::Fixed, 700));
    loaded.retire();
}

#[test]
fn bounds_hold_over_all_inner_maps() {
    let (loaded, source, outer) = nested("nest_bounds", 8);
    (0..20).for_each(|key| hold(&outer, key));
    let late = Limits { deadline: Instant::now() - Duration::from_millis(1), ..limits() };
    assert!(matches!(try_rows(source.as_ref(), &late), Err(ReadError::Late)));
    let small = Limits { max_bytes: 40, ..limits() };
    assert!(matches!(try_rows(source.as_ref(), &small), Err(ReadError::TooLarge(40))));
    let stopped = source.read(&limits(), &mut |_| Err(ReadError::TooLarge(0)));
    assert!(matches!(stopped, Err(ReadError::TooLarge(0))), "{stopped:?}");
    loaded.retire();
}

#[test]
fn an_inner_map_of_another_shape_is_not_read() {
    let (loaded, source, outer) = nested("nest_shape", 4);
    assert_eq!(rows(source.as_ref()), []);
    hold(&outer, 1);
    assert!(matches!(try_rows(source.as_ref(), &limits()), Err(ReadError::Shape)));
    loaded.retire();
}
