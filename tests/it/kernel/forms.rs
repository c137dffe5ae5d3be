use std::sync::Arc;
use std::time::{Duration, Instant};

use bpftally::bpf::{MapSource, Method};
use bpftally::config::{ConfigFile, Insecure, Options, check_text};
use bpftally::page::Coding;
use bpftally::scrape::{Generation, Live, Member, ScrapeOptions, Scraper, Settings};
use bpftally::snapshot::{Column, KeyForm, NamedSource, Reduce, Snapshot, Source, ValueSpec, View, Wanted};
use libbpf_rs::{MapCore, MapHandle, MapType};

use crate::common::kernel::{self, create_map, limits, put, source};
use crate::common::objects::Object;

const MMAPABLE: u32 = libbpf_sys::BPF_F_MMAPABLE;

/// `{u32 number; char text[16]}`
fn key(number: u32, text: &[u8]) -> Vec<u8> {
    let mut key = number.to_ne_bytes().to_vec();
    key.extend_from_slice(text);
    key.resize(20, 0);
    key
}

fn set(map: &MapHandle, key: &[u8], value: u64) {
    let lane = value.to_ne_bytes().to_vec();
    if map.map_type().is_percpu() {
        let mut lanes = vec![vec![0; 8]; libbpf_rs::num_possible_cpus().unwrap()];
        lanes[0] = lane;
        map.update_percpu(key, &lanes, libbpf_rs::MapFlags::ANY).unwrap();
    } else {
        put(map, key, &lane);
    }
}

/// Whether all keys that some threads find have the form.
#[track_caller]
fn have_form(source: &MapSource, form: &KeyForm, threads: usize) -> bool {
    let columns = [Column::new(ValueSpec::unsigned(0, 8), Reduce::Sum)];
    let wanted = Wanted { columns: &columns, forms: std::slice::from_ref(form), spare: None };
    Snapshot::read_on(threads, source, wanted, &limits()).unwrap().has_form(0)
}

/// One key among many is not of the form: wherever its bucket is, in whosever share and wherever in a batch.
#[test]
fn one_key_without_the_form_is_seen_wherever_it_is() {
    const KEYS: u32 = 40_000;
    const ALIKE: [&[u8]; 3] = [b"worker\0x", b"worker\xff", b"worker\0\0\0\0\0\0\0\0\0\x01"];
    let form = KeyForm::new(20, std::iter::once(4..20).collect(), Vec::new());
    for kind in [MapType::Hash, MapType::PercpuHash] {
        let map = create_map(kind, 20, 8, 2 * KEYS, 0);
        (0..KEYS).for_each(|number| set(&map, &key(number, b"worker"), 1));
        assert!(source(&map, Method::Batch).is_divisible());
        for (threads, method) in
            [(1, Method::Batch), (2, Method::Batch), (4, Method::Batch), (1, Method::PerKey)]
        {
            let source = kernel::source(&map, method);
            assert!(have_form(&source, &form, threads), "{kind:?} by {threads}");
            for (number, text) in (0..12).zip(ALIKE.iter().cycle()) {
                // Keys that differ in this number lie in other buckets.
                let odd = key(number * 7919, text);
                set(&map, &odd, 1);
                assert!(!have_form(&source, &form, threads), "{kind:?} by {threads}: {odd:?}");
                map.delete(&odd).unwrap();
            }
            assert!(have_form(&source, &form, threads), "{kind:?} by {threads}, again");
        }
    }
}

#[test]
fn keys_of_mapped_arrays_have_forms_too() {
    // Of the key a label shows the first two bytes.
    let form = KeyForm::new(4, Vec::new(), vec![0, 0, 0xff, 0xff]);
    for (capacity, expected) in [(1000, true), (0x1_0000, true), (0x1_0001, false), (0x1_1000, false)] {
        let map = create_map(MapType::Array, 4, 8, capacity, MMAPABLE);
        let source = MapSource::new(std::os::fd::AsFd::as_fd(&map).try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(source.method(), Method::Mapped);
        assert_eq!(have_form(&source, &form, 1), expected, "{capacity}");
    }
}

fn scraper(map: &MapHandle) -> Scraper {
    let object = Object::of(
        "struct key { u32 number; char text[16]; };
         struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 80000); __type(key, struct key); __type(value, u64); } m SEC(\".maps\");",
    );
    let options = Options {
        namespace: String::new(),
        max_series: None,
        object_dir: None,
        host: Arc::new(kernel::host()),
        insecure: Insecure::Allowed,
    };
    let text = "metrics: {counters: [{name: m, help: h, labels: [number, text]}]}";
    let checked = check_text(&ConfigFile::new("/configs/forms.yaml"), text, &object.file(), &options);
    let view = View {
        config: "forms".to_owned(),
        sources: vec![NamedSource { map: "m".to_owned(), source: Arc::new(source(map, Method::Batch)) }],
        streams: Vec::new(),
        programs: Arc::new(bpftally::snapshot::fixture::LiteralPrograms::default()),
        cgroups: Arc::default(),
    };
    let generation =
        Generation::plan(vec![Member { view_spec: checked.spec.unwrap().view, view }], Vec::new());
    Scraper::new(Arc::new(Live::new(generation)), Settings::default())
}

/// What the series of a number says, each of which must be on the page once.
#[track_caller]
fn series(scraper: &Scraper, numbers: &[u32]) -> Vec<u64> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let page = scraper.scrape(&ScrapeOptions { deadline, coding: Coding::Identity });
    let page = String::from_utf8(page.chunks.concat()).unwrap();
    let value = |number: &u32| {
        let prefix = format!("m{{number=\"{number}\",text=\"worker\"}} ");
        let mut values = page.lines().filter_map(|line| line.strip_prefix(&prefix));
        let value = values.next().unwrap().parse().unwrap();
        assert_eq!(values.next(), None, "{prefix}");
        value
    };
    numbers.iter().map(value).collect()
}

/// Keys that are shown alike are one series, exactly, whichever threads read them; also when they are gone.
#[test]
fn keys_that_are_shown_alike_are_one_series() {
    const KEYS: u32 = 40_000;
    let map = create_map(MapType::Hash, 20, 8, 2 * KEYS, 0);
    (0..KEYS).for_each(|number| set(&map, &key(number, b"worker"), u64::from(number)));
    let scraper = scraper(&map);
    let numbers = [0, 1, 20_000, 39_999];
    let plain = numbers.map(u64::from);
    // From the second one on they are read on all cores.
    for _ in 0..3 {
        assert_eq!(series(&scraper, &numbers), plain);
    }
    set(&map, &key(20_000, b"worker\0garbage"), 5);
    set(&map, &key(20_000, b"worker\0\0\0\0\0\0\0\0\0x"), 7);
    for _ in 0..2 {
        assert_eq!(series(&scraper, &numbers), [plain[0], plain[1], 20_012, plain[3]]);
    }
    map.delete(&key(20_000, b"worker\0garbage")).unwrap();
    set(&map, &key(39_999, b"worker\0y"), 1);
    assert_eq!(series(&scraper, &numbers), [plain[0], plain[1], 20_012, 40_000]);
}
