use std::time::{Duration, Instant};

use bpftally::bpf::{MapSource, Method};
use bpftally::snapshot::{Column, Limits, ReadError, Reduce, Snapshot, Source, ValueSpec, Wanted};
use libbpf_rs::{MapCore, MapFlags, MapType};
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

use super::LARGE;
use crate::common::kernel::{Row, create_map, kernel_since, limits, put, rows, source, try_rows};

const NO_PREALLOC: u32 = libbpf_sys::BPF_F_NO_PREALLOC;

const KINDS: [(MapType, u32); 9] = [
    (MapType::Hash, 0),
    (MapType::Hash, NO_PREALLOC),
    (MapType::LruHash, 0),
    (MapType::PercpuHash, 0),
    (MapType::PercpuHash, NO_PREALLOC),
    (MapType::LruPercpuHash, 0),
    (MapType::Array, 0),
    (MapType::PercpuArray, 0),
    (MapType::LpmTrie, NO_PREALLOC),
];

const METHODS: [Method; 2] = [Method::Batch, Method::PerKey];

fn is_array(kind: MapType) -> bool {
    matches!(kind, MapType::Array | MapType::PercpuArray)
}

/// Whether the running kernel reads many entries of such a map with one call.
fn has_batches(kind: MapType) -> bool {
    match kind {
        MapType::PercpuArray => kernel_since(5, 13),
        MapType::LpmTrie => kernel_since(5, 16),
        _ => true,
    }
}

/// A key of a size that holds a number; for tries a full prefix before it.
fn key(kind: MapType, size: usize, number: u32) -> Vec<u8> {
    let mut key = vec![0xa5; size];
    match kind {
        MapType::LpmTrie => {
            key[..4].copy_from_slice(&((size as u32 - 4) * 8).to_ne_bytes());
            key[4..8].copy_from_slice(&number.to_be_bytes());
        }
        _ => key[..4].copy_from_slice(&number.to_ne_bytes()),
    }
    key
}

/// A value of a size, told apart by a number: for a CPU its own.
fn value(size: usize, number: u32, cpu: usize) -> Vec<u8> {
    (0..size).map(|byte| (number as usize + byte * 7 + cpu * 31) as u8).collect()
}

/// Fills a map with so many entries and tells what must be read.
fn fill(map: &impl MapCore, key_size: usize, value_size: usize, count: u32) -> Vec<Row> {
    let kind = map.map_type();
    let cpus = libbpf_rs::num_possible_cpus().unwrap();
    // A CPU takes the free places of an LRU map 128 at a time; another one would find none, and evict.
    let _stay = Stay::here();
    let mut expected: Vec<Row> = (0..count)
        .map(|number| {
            let key = key(kind, key_size, number);
            if kind.is_percpu() {
                let values: Vec<_> = (0..cpus).map(|cpu| value(value_size, number, cpu)).collect();
                patiently(|| map.update_percpu(&key, &values, MapFlags::ANY));
                let stride = value_size.next_multiple_of(8);
                let lanes = values.iter().flat_map(|value| {
                    value.iter().copied().chain(std::iter::repeat_n(0, stride - value_size))
                });
                (key, lanes.collect())
            } else {
                let value = value(value_size, number, 0);
                put(map, &key, &value);
                (key, value)
            }
        })
        .collect();
    expected.sort();
    expected
}

/// Keeps this thread on the CPU that it has.
struct Stay(CpuSet);

impl Stay {
    fn here() -> Self {
        let before = sched_getaffinity(None).unwrap();
        let mut one = CpuSet::new();
        one.set(sched_getcpu());
        sched_setaffinity(None, &one).unwrap();
        Self(before)
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        sched_setaffinity(None, &self.0).unwrap();
    }
}

/// Does what needs memory of every CPU. The kernel may not wait for more of it there, and
/// makes more in the background when it ran out.
#[track_caller]
fn patiently(work: impl Fn() -> libbpf_rs::Result<()>) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match work() {
            Err(error) if error.kind() == libbpf_rs::ErrorKind::OutOfMemory && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            result => return result.unwrap(),
        }
    }
}

#[track_caller]
fn check(kind: MapType, flags: u32, key_size: usize, value_size: usize, capacity: u32, count: u32) {
    let map = create_map(kind, key_size as u32, value_size as u32, capacity, flags);
    let expected = fill(&map, key_size, value_size, count);
    for method in METHODS {
        let source = source(&map, method);
        let shape = source.shape();
        assert_eq!((shape.key_size, shape.value_size), (key_size, value_size));
        assert_eq!(source.max_entries(), Some(u64::from(capacity)));
        let what = format!(
            "{kind:?} flags {flags} key {key_size} value {value_size} {count} of {capacity} by {method:?}"
        );
        assert!(rows(&source) == expected, "{what}");
        assert!(rows(&source) == expected, "{what}, again");
        let expected = if has_batches(kind) { method } else { Method::PerKey };
        assert_eq!(source.method(), expected, "{what}");
    }
}

#[test]
fn every_kind_and_value_size_is_read_whole() {
    for (kind, flags) in KINDS {
        for value_size in [1, 2, 3, 4, 7, 8, 12, 16, 24, 100, 4096] {
            let key_size = if kind == MapType::LpmTrie { 8 } else { 4 };
            // Arrays are always full.
            let count = if is_array(kind) { 64 } else { 50 };
            check(kind, flags, key_size, value_size, 64, count);
        }
    }
}

#[test]
fn maps_that_are_empty_or_full_or_of_one_entry_are_read() {
    for (kind, flags) in KINDS {
        let key_size = if kind == MapType::LpmTrie { 8 } else { 4 };
        check(kind, flags, key_size, 8, 1, 1);
        if !is_array(kind) {
            check(kind, flags, key_size, 8, 1, 0);
            check(kind, flags, key_size, 8, 1000, 0);
        }
        if !matches!(kind, MapType::LruHash | MapType::LruPercpuHash) {
            check(kind, flags, key_size, 8, 777, 777);
        }
    }
}

#[test]
fn more_than_one_batch_is_read() {
    for (kind, flags) in KINDS {
        let key_size = if kind == MapType::LpmTrie { 8 } else { 4 };
        // 256 KiB hold some 20,000 of these entries.
        let capacity =
            if matches!(kind, MapType::LruHash | MapType::LruPercpuHash) { 120_000 } else { 60_000 };
        check(kind, flags, key_size, 8, if is_array(kind) { 60_000 } else { capacity }, 60_000);
    }
}

#[test]
fn a_large_hash_is_read_whole_by_several_threads() {
    let column = Column::new(ValueSpec::unsigned(0, 8), Reduce::Split);
    let wanted = Wanted { columns: &[column], ..Wanted::default() };
    for (kind, flags) in [
        (MapType::Hash, 0),
        (MapType::Hash, NO_PREALLOC),
        (MapType::LruHash, 0),
        (MapType::PercpuHash, 0),
        (MapType::LruPercpuHash, 0),
    ] {
        for count in [0, 1, 100, 2000, LARGE] {
            let map = create_map(kind, 12, 8, 2 * LARGE, flags);
            let expected = fill(&map, 12, 8, count);
            let source = source(&map, Method::Batch);
            assert!(source.is_divisible(), "{kind:?}");
            for threads in [2, 3, 4] {
                let snapshot = Snapshot::read_on(threads, &source, wanted, &limits()).unwrap();
                let lanes = snapshot.numbers(0).unwrap().bits.chunks_exact(source.shape().lanes);
                let values = lanes.map(|lanes| lanes.iter().flat_map(|lane| lane.to_ne_bytes()).collect());
                let mut found: Vec<Row> = snapshot.keys().map(<[u8]>::to_vec).zip(values).collect();
                found.sort();
                assert!(found == expected, "{kind:?} flags {flags}, {count} entries by {threads} threads");
                assert_eq!(snapshot.statistics().entries, u64::from(count));
            }
        }
    }
}

#[test]
fn small_maps_and_maps_of_other_kinds_are_read_by_one_thread() {
    for (kind, capacity) in [(MapType::Hash, 4096), (MapType::Array, 120_000), (MapType::LpmTrie, 120_000)] {
        let flags = if kind == MapType::LpmTrie { NO_PREALLOC } else { 0 };
        let map = create_map(kind, if kind == MapType::LpmTrie { 8 } else { 4 }, 8, capacity, flags);
        assert!(!source(&map, Method::Batch).is_divisible(), "{kind:?}");
    }
}

#[test]
fn keys_may_be_large() {
    // Linux 5.10 wants that programs can hold a key on their stack.
    let largest = if kernel_since(6, 1) { 1000 } else { 510 };
    for (kind, flags) in [(MapType::Hash, 0), (MapType::PercpuHash, 0), (MapType::LruHash, 0)] {
        for key_size in [5, 8, 64, 511, 512, largest] {
            check(kind, flags, key_size, 8, 3000, 1500);
        }
    }
    // The largest that a trie can have.
    check(MapType::LpmTrie, NO_PREALLOC, 260, 8, 3000, 1000);
}

#[test]
fn values_larger_than_a_batch_are_read_one_by_one() {
    for (kind, flags) in [(MapType::Hash, 0), (MapType::Hash, NO_PREALLOC), (MapType::Array, 0)] {
        check(kind, flags, 4, 300_000, 5, 5);
    }
}

/// With values as large as half a batch, a batch holds fewer entries than some buckets do.
#[test]
fn a_bucket_with_more_than_a_batch_makes_it_grow() {
    for (kind, flags) in [(MapType::Hash, 0), (MapType::Hash, NO_PREALLOC), (MapType::LruHash, 0)] {
        check(kind, flags, 4, 130_000, 128, if kind == MapType::LruHash { 60 } else { 128 });
    }
}

#[test]
fn a_deadline_that_passed_is_told() {
    let map = create_map(MapType::Hash, 4, 8, 1000, 0);
    fill(&map, 4, 8, 1000);
    let past = Limits { deadline: Instant::now() - Duration::from_secs(1), max_bytes: usize::MAX };
    for method in METHODS {
        let result = try_rows(&source(&map, method), &past);
        assert!(matches!(result, Err(ReadError::Late)), "{method:?}: {result:?}");
    }
}

#[test]
fn a_deadline_that_passes_meanwhile_is_told() {
    let map = create_map(MapType::Hash, 4, 8, 60_000, 0);
    fill(&map, 4, 8, 60_000);
    for method in METHODS {
        // Long enough for the first entries on the slowest machine; what takes them lets it pass.
        let limits = Limits { deadline: Instant::now() + Duration::from_secs(3), max_bytes: usize::MAX };
        let mut pushed = 0;
        let result = source(&map, method).read(&limits, &mut |batch| {
            pushed += batch.rows;
            std::thread::sleep(limits.deadline.saturating_duration_since(Instant::now()));
            Ok(())
        });
        assert!(matches!(result, Err(ReadError::Late)), "{method:?}: {result:?}");
        assert!((1..60_000).contains(&pushed), "{method:?}: stopped after {pushed}");
    }
}

#[test]
fn who_takes_the_entries_can_stop_the_read() {
    let map = create_map(MapType::Hash, 4, 8, 60_000, 0);
    fill(&map, 4, 8, 60_000);
    for method in METHODS {
        let mut calls = 0;
        let result = source(&map, method).read(&limits(), &mut |_| {
            calls += 1;
            Err(ReadError::TooLarge(1))
        });
        assert!(matches!(result, Err(ReadError::TooLarge(1))), "{method:?}: {result:?}");
        assert_eq!(calls, 1, "{method:?}");
    }
}

#[test]
fn who_takes_the_entries_can_read_another_source() {
    let (outer, inner) = (create_map(MapType::Hash, 4, 8, 10, 0), create_map(MapType::Array, 4, 4, 3, 0));
    let expected = (fill(&outer, 4, 8, 10), fill(&inner, 4, 4, 3));
    for method in METHODS {
        let (outer, inner) = (source(&outer, method), source(&inner, method));
        let mut seen = Vec::new();
        let result = outer.read(&limits(), &mut |batch| {
            assert_eq!(rows(&inner), expected.1);
            seen.extend(batch.keys.chunks_exact(4).map(<[u8]>::to_vec));
            Ok(())
        });
        assert_eq!(result.unwrap().entries, 10);
        seen.sort();
        assert!(seen.iter().eq(expected.0.iter().map(|(key, _)| key)), "{method:?}");
    }
}

#[test]
fn maps_without_keys_to_walk_are_refused() {
    for (kind, key, value, capacity) in
        [(MapType::Queue, 0, 8, 4), (MapType::RingBuf, 0, 0, 4096), (MapType::PerfEventArray, 4, 4, 2)]
    {
        let map = create_map(kind, key, value, capacity, 0);
        let result = MapSource::new(std::os::fd::AsFd::as_fd(&map).try_clone_to_owned().unwrap());
        assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::Unsupported, "{kind:?}");
    }
    let file = std::fs::File::open("/dev/null").unwrap();
    assert!(MapSource::new(file.into()).is_err());
}
