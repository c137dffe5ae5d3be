use std::sync::Arc;
use std::time::{Duration, Instant};

use bpftally::bpf::Method;
use bpftally::config::{ConfigFile, Insecure, Options, check_text};
use bpftally::page::Coding;
use bpftally::scrape::{Generation, Live, Member, ScrapeOptions, Scraper, Settings, Upkeep};
use bpftally::snapshot::{NamedSource, ReadError, Source, Taken, View};
use bpftally::spec::{MapExpiry, Spec};
use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};

use crate::common::exporter::value_of;
use crate::common::kernel::{self, create_map, put, rows, source};
use crate::common::objects::Object;

fn number(value: u64) -> Vec<u8> {
    value.to_ne_bytes().to_vec()
}

/// Gives a key a value, of per-CPU maps on every CPU.
fn set(map: &MapHandle, key: u32, value: u64) {
    let key = key.to_ne_bytes();
    if map.map_type().is_percpu() {
        let values = vec![number(value); libbpf_rs::num_possible_cpus().unwrap()];
        map.update_percpu(&key, &values, MapFlags::ANY).unwrap();
    } else {
        put(map, &key, &number(value));
    }
}

#[test]
fn an_entry_is_taken_out_with_its_last_value() {
    for kind in [MapType::Hash, MapType::LruHash, MapType::PercpuHash, MapType::LruPercpuHash] {
        let map = create_map(kind, 4, 8, 64, 0);
        let source = source(&map, Method::Batch);
        (1..=3).for_each(|key| set(&map, key, u64::from(key) * 10));
        let lanes = if kind.is_percpu() { libbpf_rs::num_possible_cpus().unwrap() } else { 1 };
        let take = |key: u32, expected: u64| {
            let mut last = Vec::new();
            let taken = source.take(&key.to_ne_bytes(), &number(expected).repeat(lanes), &mut last).unwrap();
            (taken, last)
        };
        assert_eq!(take(1, 10), (Taken::Out, number(10).repeat(lanes)), "{kind:?}");
        assert_eq!(take(1, 10).0, Taken::Gone, "{kind:?}");
        assert_eq!(take(2, 10), (Taken::Changed, number(20).repeat(lanes)), "{kind:?}");
        let keys: Vec<_> = rows(&source).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [2u32.to_ne_bytes(), 3u32.to_ne_bytes()], "{kind:?}");
    }
}

#[test]
fn what_has_no_such_operation_says_so() {
    let map = create_map(MapType::Array, 4, 8, 4, 0);
    let source = source(&map, Method::Batch);
    let error = source.take(&0u32.to_ne_bytes(), &number(0), &mut Vec::new()).unwrap_err();
    assert!(matches!(&error, ReadError::Kernel { operation, .. } if operation.contains("5.14")), "{error}");
    assert_eq!(rows(&source).len(), 4);
}

#[test]
fn an_entry_is_taken_out_once() {
    let map = create_map(MapType::Hash, 4, 8, 10_000, 0);
    (0..10_000).for_each(|key| set(&map, key, 7));
    let source = source(&map, Method::Batch);
    let out = || {
        let take =
            |key: &u32| source.take(&key.to_ne_bytes(), &number(7), &mut Vec::new()).unwrap() == Taken::Out;
        (0..10_000u32).filter(take).count()
    };
    let all: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(out)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((all, rows(&source).len()), (10_000, 0));
}

/// A config of a map `m` with keys of 4 bytes, as the checks make it.
fn spec(metrics: &str) -> Spec {
    let object = Object::of(
        "struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1000); __type(key, u32); __type(value, u64); } m SEC(\".maps\");",
    );
    let options = Options {
        namespace: String::new(),
        max_series: None,
        object_dir: None,
        host: Arc::new(kernel::host()),
        insecure: Insecure::Allowed,
    };
    let checked = check_text(&ConfigFile::new("/configs/take.yaml"), metrics, &object.file(), &options);
    assert!(checked.problems.is_empty(), "{:#?}", checked.problems);
    checked.spec.unwrap()
}

fn scraper(spec: Spec, sources: Vec<(&str, &MapHandle)>) -> Scraper {
    let sources = sources.into_iter().map(|(map, handle)| NamedSource {
        map: map.to_owned(),
        source: Arc::new(source(handle, Method::Batch)),
    });
    let view = View {
        config: "take".to_owned(),
        sources: sources.collect(),
        streams: Vec::new(),
        programs: Arc::new(bpftally::snapshot::fixture::LiteralPrograms::default()),
        cgroups: Arc::default(),
    };
    let generation = Generation::plan(vec![Member { view_spec: spec.view, view }], Vec::new());
    Scraper::new(Arc::new(Live::new(generation)), Settings::default())
}

fn page(scraper: &Scraper) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    let page = scraper.scrape(&ScrapeOptions { deadline, coding: Coding::Identity });
    String::from_utf8(page.chunks.concat()).unwrap()
}

/// Keys come, count and are taken out again and again: the sum is all that they counted.
#[test]
fn sums_are_exact_whatever_is_taken_out() {
    let text = "metrics: {counters: [{name: m, help: h, labels: [{name: k, size: 4, decoders: [{name: uint}, {name: regexp, regexps: ['^(\\d)']}]}]}]}";
    let mut spec = spec(text);
    spec.view.expiries.push(MapExpiry { map: "m".to_owned(), after: Duration::ZERO });
    let map = create_map(MapType::Hash, 4, 8, 1000, 0);
    let scraper = scraper(spec, vec![("m", &map)]);
    let mut sum = 0;
    for turn in 1..=20u64 {
        for key in 100..199u32 {
            let before = map.lookup(&key.to_ne_bytes(), MapFlags::ANY).unwrap();
            let before = before.map_or(0, |value| u64::from_ne_bytes(value.try_into().unwrap()));
            set(&map, key, before + turn);
            sum += turn;
        }
        // A scrape sees some of it, and some not.
        if turn % 3 == 0 {
            assert_eq!(value_of(&page(&scraper), "m{k=\"1\"}"), Some(sum as f64), "{turn}");
        }
        if turn % 2 == 0 {
            scraper.upkeep(&mut Upkeep::default(), &|| false);
            assert_eq!(rows(&source(&map, Method::Batch)).len(), 0);
        }
    }
    set(&map, 100, 1);
    let page = page(&scraper);
    assert_eq!(value_of(&page, "m{k=\"1\"}"), Some((sum + 1) as f64), "{page}");
    let expired = "ebpf_exporter_map_expired_entries_total{config=\"take\",map=\"m\"}";
    assert_eq!(value_of(&page, expired), Some(990.0), "{page}");
}

#[test]
fn how_full_maps_are_is_counted_exactly() {
    let kinds = [
        ("m", MapType::Hash, 0, 90, Some(0.0)),
        ("start", MapType::Hash, 0, 91, Some(1.0)),
        ("unallocated", MapType::Hash, libbpf_sys::BPF_F_NO_PREALLOC, 91, Some(1.0)),
        ("each_cpu", MapType::PercpuHash, 0, 90, Some(0.0)),
        ("lru", MapType::LruHash, 0, 40, None),
    ];
    let maps: Vec<_> = kinds
        .iter()
        .map(|(name, kind, flags, entries, _)| {
            let map = create_map(*kind, 4, 8, 100, *flags);
            (0..*entries).for_each(|key| set(&map, key, 1));
            (*name, map)
        })
        .collect();
    let text =
        "metrics: {counters: [{name: m, help: h, labels: [{name: k, size: 4, decoders: [{name: uint}]}]}]}";
    let scraper = scraper(spec(text), maps.iter().map(|(name, map)| (*name, map)).collect());
    scraper.upkeep(&mut Upkeep::default(), &|| false);
    let page = page(&scraper);
    for (name, _, _, entries, is_full) in kinds {
        let value = |metric: &str| {
            value_of(&page, &format!("ebpf_exporter_map_{metric}{{config=\"take\",map=\"{name}\"}}"))
        };
        assert_eq!(value("entries"), Some(f64::from(entries)), "{name}: {page}");
        assert_eq!(value("nearly_full"), is_full, "{name}: {page}");
        assert!(value("max_entries").is_some_and(|max| max >= 100.0), "{name}: {page}");
    }
}
