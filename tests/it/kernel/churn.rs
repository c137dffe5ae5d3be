use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bpftally::bpf::{MapSource, Method};
use bpftally::snapshot::{
    Batch, Column, Limits, ReadError, ReadStatistics, Reduce, Shape, SharedPush, Snapshot, Source, ValueSpec,
    Wanted,
};
use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};

use crate::common::kernel::{create_map, limits, source};

const NO_PREALLOC: u32 = libbpf_sys::BPF_F_NO_PREALLOC;

/// Keys from here on come and go.
const CHURNING: u32 = 1 << 20;

/// Who makes keys come and go, in which order.
#[derive(Clone, Copy, Debug)]
enum Churn {
    /// Each key lives for the time of one system call: most scans meet keys that vanish at once.
    OneByOne,
    /// Hundreds are inserted, then deleted.
    InWaves,
}

fn key(kind: MapType, number: u32) -> Vec<u8> {
    // Spread over the trie, so that what comes and goes lies between what stays.
    let spread = number.wrapping_mul(0x9e37_79b1);
    match kind {
        MapType::LpmTrie => [32_u32.to_ne_bytes(), spread.to_be_bytes()].concat(),
        _ => [spread.to_ne_bytes(), number.to_ne_bytes()].concat(),
    }
}

fn value(number: u32) -> u64 {
    u64::from(number) * 1_000_003 + 7
}

fn set(map: &impl MapCore, number: u32) {
    let (key, value) = (key(map.map_type(), number), value(number).to_ne_bytes());
    if map.map_type().is_percpu() {
        let values = vec![value.to_vec(); libbpf_rs::num_possible_cpus().unwrap()];
        map.update_percpu(&key, &values, MapFlags::ANY).unwrap();
    } else {
        map.update(&key, &value, MapFlags::ANY).unwrap();
    }
}

fn churn(map: &impl MapCore, how: Churn, stop: &AtomicBool, changes: &AtomicU64) {
    let mut turn = 0_u32;
    let wave = match how {
        Churn::OneByOne => 1,
        Churn::InWaves => 500,
    };
    while !stop.load(Ordering::Relaxed) {
        let numbers = (0..wave).map(|offset| CHURNING + (turn * wave + offset) % 5000);
        for number in numbers.clone() {
            set(map, number);
        }
        for number in numbers {
            // An LRU map may have taken it already.
            let _ = map.delete(&key(map.map_type(), number));
        }
        turn = turn.wrapping_add(1) % 100_000;
        changes.fetch_add(u64::from(wave), Ordering::Relaxed);
    }
}

/// Reads once: every stable key must come exactly once, with its value on every CPU.
fn read_once(
    threads: usize,
    source: &dyn Source,
    keys: &HashMap<Vec<u8>, u32>,
    stable: u32,
    what: &str,
) -> u64 {
    let mut seen = vec![0_u8; stable as usize];
    let mut churning = std::collections::HashSet::new();
    let result = source.read_on(threads, &limits(), &mut |batch| {
        let stride = batch.shape.lanes * batch.shape.lane_stride;
        for (key, value) in
            batch.keys.chunks_exact(batch.shape.key_size).zip(batch.values.chunks_exact(stride))
        {
            let Some(number) = keys.get(key) else {
                assert!(churning.insert(key.to_vec()), "{what}: a churning key twice");
                continue;
            };
            seen[*number as usize] += 1;
            for lane in value.chunks_exact(8) {
                assert_eq!(u64::from_ne_bytes(lane.try_into().unwrap()), self::value(*number), "{what}");
            }
        }
        Ok::<(), ReadError>(())
    });
    let statistics = result.unwrap_or_else(|error| panic!("{what}: {error}"));
    let wrong = seen.iter().filter(|times| **times != 1).count();
    assert_eq!(
        wrong,
        0,
        "{what}: keys not seen exactly once, {} missing",
        seen.iter().filter(|n| **n == 0).count()
    );
    statistics.vanished
}

#[track_caller]
fn check(kind: MapType, flags: u32, method: Method, how: Churn, stable: u32, capacity: u32, reads: usize) {
    check_on(1, (kind, flags), method, how, stable, capacity, reads);
}

#[track_caller]
fn check_on(
    threads: usize,
    (kind, flags): (MapType, u32),
    method: Method,
    how: Churn,
    stable: u32,
    capacity: u32,
    reads: usize,
) {
    let map = create_map(kind, 8, 8, capacity, flags);
    let keys: HashMap<Vec<u8>, u32> = (0..stable).map(|number| (key(kind, number), number)).collect();
    (0..stable).for_each(|number| set(&map, number));
    let source = source(&map, method);
    let (stop, changes) = (AtomicBool::new(false), AtomicU64::new(0));
    let what = format!("{kind:?} flags {flags} by {method:?}, {how:?}, {threads} threads");
    assert!(threads == 1 || source.is_divisible(), "{what}: by one thread only");
    std::thread::scope(|scope| {
        // Stops the other thread also when an assertion fails.
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _stop = Stop(&stop);
        scope.spawn(|| churn(&map, how, &stop, &changes));
        for _ in 0..reads {
            read_once(threads, &source, &keys, stable, &what);
        }
    });
    assert!(changes.into_inner() > reads as u64, "{what}: the map did change");
}

#[test]
fn a_hash_under_churn_is_read_truly_by_batches() {
    check(MapType::Hash, 0, Method::Batch, Churn::InWaves, 10_000, 20_000, 1000);
}

#[test]
fn a_hash_without_preallocation_under_churn_is_read_truly_by_batches() {
    check(MapType::Hash, NO_PREALLOC, Method::Batch, Churn::OneByOne, 10_000, 20_000, 1000);
}

#[test]
fn a_per_cpu_hash_under_churn_is_read_truly_by_batches() {
    check(MapType::PercpuHash, 0, Method::Batch, Churn::InWaves, 10_000, 20_000, 300);
}

#[test]
fn an_lru_hash_with_room_under_churn_is_read_truly_by_batches() {
    check(MapType::LruHash, 0, Method::Batch, Churn::InWaves, 10_000, 40_000, 300);
}

#[test]
fn a_hash_under_churn_is_read_truly_key_by_key() {
    check(MapType::Hash, 0, Method::PerKey, Churn::OneByOne, 10_000, 20_000, 30);
    check(MapType::Hash, 0, Method::PerKey, Churn::InWaves, 10_000, 20_000, 30);
    check(MapType::Hash, NO_PREALLOC, Method::PerKey, Churn::InWaves, 2_000, 4_000, 60);
}

#[test]
fn per_cpu_and_lru_hashes_under_churn_are_read_truly_key_by_key() {
    check(MapType::PercpuHash, 0, Method::PerKey, Churn::InWaves, 2_000, 4_000, 60);
    check(MapType::LruHash, 0, Method::PerKey, Churn::InWaves, 2_000, 20_000, 60);
}

#[test]
fn a_trie_under_churn_is_read_truly() {
    for how in [Churn::OneByOne, Churn::InWaves] {
        check(MapType::LpmTrie, NO_PREALLOC, Method::Batch, how, 2_000, 8_000, 300);
        check(MapType::LpmTrie, NO_PREALLOC, Method::PerKey, how, 2_000, 8_000, 30);
    }
}

/// Several threads, and so seams between what they read.
#[track_caller]
fn check_pieces(kind: MapType, flags: u32, how: Churn, capacity: u32, reads: usize) {
    for threads in [2, 4] {
        check_on(threads, (kind, flags), Method::Batch, how, 10_000, capacity, reads);
    }
}

#[test]
fn a_hash_under_churn_is_read_truly_by_several_threads() {
    check_pieces(MapType::Hash, 0, Churn::InWaves, 20_000, 150);
    check_pieces(MapType::Hash, NO_PREALLOC, Churn::OneByOne, 20_000, 150);
}

#[test]
fn a_per_cpu_hash_under_churn_is_read_truly_by_several_threads() {
    check_pieces(MapType::PercpuHash, 0, Churn::InWaves, 20_000, 60);
}

#[test]
fn lru_hashes_with_room_under_churn_are_read_truly_by_several_threads() {
    check_pieces(MapType::LruHash, 0, Churn::InWaves, 40_000, 60);
    check_pieces(MapType::LruPercpuHash, 0, Churn::InWaves, 40_000, 60);
}

/// Nearly all keys go away while threads are on their way: no seam can be met any more.
#[test]
fn a_map_that_is_emptied_meanwhile_is_read_truly() {
    let map = create_map(MapType::Hash, 8, 8, 100_000, 0);
    let column = Column::new(ValueSpec::unsigned(0, 8), Reduce::Sum);
    let wanted = Wanted { columns: &[column], ..Wanted::default() };
    let stable: Vec<u32> = (0..100_000).step_by(10_000).collect();
    for _ in 0..5 {
        (0..100_000).for_each(|number| set(&map, number));
        let source =
            Emptied { source: source(&map, Method::Batch), map: &map, empty: AtomicBool::new(false) };
        let snapshot = Snapshot::read_on(2, &source, wanted, &limits()).unwrap();
        for number in &stable {
            let key = key(MapType::Hash, *number);
            assert_eq!(snapshot.keys().filter(|found| **found == key).count(), 1, "{number}");
        }
        let distinct: std::collections::HashSet<_> = snapshot.keys().collect();
        assert_eq!(distinct.len(), snapshot.rows(), "no key twice");
        assert!(source.empty.into_inner());
    }
}

/// Empties its map, but for some keys, when the first entries were read.
struct Emptied<'a> {
    source: MapSource,
    map: &'a MapHandle,
    empty: AtomicBool,
}

impl Source for Emptied<'_> {
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
        self.source.read(limits, push)
    }

    fn read_on(
        &self,
        threads: usize,
        limits: &Limits,
        push: SharedPush<'_>,
    ) -> Result<ReadStatistics, ReadError> {
        self.source.read_on(threads, limits, &mut |batch| {
            if !self.empty.swap(true, Ordering::Relaxed) {
                // Others wait here with what they have read.
                for number in (0..100_000).filter(|number| number % 10_000 != 0) {
                    self.map.delete(&key(MapType::Hash, number)).unwrap();
                }
            }
            push(batch)
        })
    }
}
