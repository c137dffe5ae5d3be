//! Metrics that may not have as many series as their maps would give.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::problem::Problem;

fn set(source: &Literal, entries: &[(u32, u64)]) {
    let keys: Vec<_> = entries.iter().map(|(n, _)| n.to_ne_bytes()).collect();
    put(source, &keys.iter().zip(entries).map(|(key, (_, value))| (&key[..], *value)).collect::<Vec<_>>());
}

fn numbers(entries: &[(u32, u64)]) -> Arc<Literal> {
    let source = rows(4, &[]);
    set(&source, entries);
    source
}

fn limited(max_series: usize, metric: MetricSpec) -> MetricSpec {
    MetricSpec { limit: SeriesLimit { max_series: Some(max_series), ..metric.limit.clone() }, ..metric }
}

fn with_other(texts: &[&str], metric: MetricSpec) -> MetricSpec {
    let other = Some(texts.iter().map(|text| (*text).to_owned()).collect());
    MetricSpec { limit: SeriesLimit { other, ..metric.limit.clone() }, ..metric }
}

fn cut_at(max_label_length: usize, metric: MetricSpec) -> MetricSpec {
    let max_label_length = Some(max_label_length);
    MetricSpec { limit: SeriesLimit { max_label_length, ..metric.limit.clone() }, ..metric }
}

fn total() -> MetricSpec {
    counter("m_total", 4, vec![uint("a", 0, 4)])
}

fn one(metric: MetricSpec, source: Arc<dyn Source>) -> Member {
    let map = metric.map.clone();
    member("c", vec![metric], vec![(&map, source)])
}

/// A scraper that gives the places of label sets up in the first scrape that lacks them.
fn hasty(members: Vec<Member>) -> Scraper {
    scraper_with(members, Settings { limit_grace: Duration::ZERO, ..Settings::default() })
}

/// The series of `m_total` by their label `a`.
fn series(scraper: &Scraper) -> BTreeMap<String, u64> {
    let page = text(&scraper.scrape(&plain()));
    let lines = lines(&page, "ebpf_exporter_m_total{a=");
    let parts = lines.iter().map(|line| {
        let (label, value) = line.split_once("{a=\"").unwrap().1.split_once("\"} ").unwrap();
        (label.to_owned(), value.parse().unwrap())
    });
    parts.collect()
}

#[track_caller]
fn check_series(scraper: &Scraper, expected: &[(&str, u64)]) {
    let expected = expected.iter().map(|(label, value)| ((*label).to_owned(), *value)).collect();
    assert_eq!(series(scraper), expected);
}

#[track_caller]
fn check_limited(scraper: &Scraper, expected: &[&str]) {
    let page = text(&scraper.scrape(&plain()));
    let found: Vec<_> = lines(&page, "ebpf_exporter_metric_limited_label_sets_total{")
        .iter()
        .map(|line| line.split_once("reason=").unwrap().1.replace(['"', '}'], ""))
        .collect();
    assert_eq!(found, expected, "{page}");
}

fn renew(scraper: &Scraper, members: Vec<Member>, replaced: &[Replaced]) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let problems: Vec<Problem> = scraper
        .publish(
            Generation::plan(members, Vec::new()),
            &Handover { replaced: replaced.to_vec(), renamed: Vec::new() },
            deadline,
        )
        .1;
    assert_eq!(problems, []);
}

#[test]
fn the_same_label_sets_are_published_whatever_comes_first() {
    let source = numbers(&[(1, 10), (2, 20), (3, 30)]);
    let scraper = scraper(vec![one(limited(2, total()), source.clone())]);
    check_series(&scraper, &[("1", 10), ("2", 20)]);
    set(&source, &[(3, 31), (4, 1), (2, 21), (1, 11)]);
    check_series(&scraper, &[("1", 11), ("2", 21)]);
    // One is gone, and keeps its place for some minutes.
    set(&source, &[(3, 32), (2, 22)]);
    check_series(&scraper, &[("2", 22)]);
    set(&source, &[(3, 33), (2, 22), (1, 1)]);
    check_series(&scraper, &[("1", 12), ("2", 22)]);
    // One of three, two of four, one of two, one of three, and in this scrape one of three again.
    check_limited(&scraper, &["max_series 6"]);
}

#[test]
fn a_place_that_was_given_up_goes_to_another_label_set() {
    let source = numbers(&[(1, 10), (2, 20), (3, 30)]);
    let scraper = hasty(vec![one(limited(2, total()), source.clone())]);
    check_series(&scraper, &[("1", 10), ("2", 20)]);
    set(&source, &[(3, 33), (2, 22)]);
    check_series(&scraper, &[("2", 22)]);
    check_series(&scraper, &[("2", 22), ("3", 33)]);
}

#[test]
fn gauges_are_limited_too() {
    let gauge = || MetricSpec { kind: MetricKind::Gauge, ..total() };
    let source = numbers(&[(1, 10), (2, 20), (3, 30)]);
    check_series(&scraper(vec![one(limited(1, gauge()), source.clone())]), &[("1", 10)]);
    let rest = with_other(&["rest"], limited(1, gauge()));
    let scraper = scraper(vec![one(rest, source.clone())]);
    check_series(&scraper, &[("1", 10), ("rest", 50)]);
    set(&source, &[(3, 5), (1, 4)]);
    check_series(&scraper, &[("1", 4), ("rest", 5)]);
}

#[test]
fn a_limit_that_cannot_be_reached_costs_nothing() {
    let source = numbers(&[(1, 10)]);
    let max_entries = usize::try_from(source.max_entries().unwrap()).unwrap();
    for (max, path) in [(max_entries, true), (max_entries - 1, false)] {
        let generation = Generation::plan(vec![one(limited(max, total()), source.clone())], Vec::new());
        assert_eq!(generation.families[0].direct().is_some(), path);
    }
    let generation = Generation::plan(vec![one(total(), source)], Vec::new());
    assert!(
        generation.families[0].direct().is_some() && generation.families[0].contributors[0].limit.is_none()
    );
}

#[test]
fn a_histogram_is_never_cut() {
    let kind = BucketKind::Linear { min: 0, max: 1 };
    let histogram = histogram("h", kind, 1.0, vec![uint("a", 0, 4)]);
    let key = |a: u32, slot: u64| [&a.to_ne_bytes()[..], &slot.to_ne_bytes()].concat();
    let source = rows(
        12,
        &[
            (&key(1, 0), 1),
            (&key(2, 0), 7),
            (&key(1, 1), 2),
            (&key(2, 2), 9),
            (&key(1, 2), 5),
            (&key(3, 1), 1),
        ],
    );
    let expected = |a: &str, counts: [u64; 2], sum: u64| {
        vec![
            format!(r#"ebpf_exporter_h_bucket{{a="{a}",le="+Inf"}} {}"#, counts[1]),
            format!(r#"ebpf_exporter_h_bucket{{a="{a}",le="0"}} {}"#, counts[0]),
            format!(r#"ebpf_exporter_h_bucket{{a="{a}",le="1"}} {}"#, counts[1]),
            format!(r#"ebpf_exporter_h_count{{a="{a}"}} {}"#, counts[1]),
            format!(r#"ebpf_exporter_h_sum{{a="{a}"}} {sum}"#),
        ]
    };
    let scraper = scraper(vec![one(limited(1, histogram.clone()), source.clone())]);
    assert_eq!(lines(&text(&scraper.scrape(&plain())), "ebpf_exporter_h_"), expected("1", [1, 3], 5));
    let scraper = super::scraper(vec![one(with_other(&["rest"], limited(1, histogram)), source)]);
    let mut all = [expected("1", [1, 3], 5), expected("rest", [7, 8], 9)].concat();
    all.sort();
    assert_eq!(lines(&text(&scraper.scrape(&plain())), "ebpf_exporter_h_"), all);
}

#[test]
fn label_sets_that_start_at_zero_have_the_first_places() {
    let operation = label("a", 0, 4, &[("uint", &[]), ("static_map", &[("7", "x"), ("8", "y")])]);
    let metric = MetricSpec { zero: true, ..counter("m_total", 4, vec![operation]) };
    let source = numbers(&[(1, 10), (8, 20), (2, 5)]);
    let scraper = scraper(vec![one(limited(3, metric), source)]);
    check_series(&scraper, &[("unknown:1", 10), ("x", 0), ("y", 20)]);
}

#[test]
fn the_limit_goes_by_metric_of_a_config() {
    let (first, second) = (numbers(&[(1, 1), (2, 2)]), numbers(&[(2, 20), (3, 30)]));
    let scraper = scraper(vec![
        member("a", vec![limited(1, total())], vec![("m_total", first)]),
        member("b", vec![with_other(&["rest"], limited(1, total()))], vec![("m_total", second)]),
    ]);
    check_series(&scraper, &[("1", 1), ("2", 20), ("rest", 30)]);
}

#[test]
fn long_labels_are_cut_and_what_is_equal_then_is_one_series() {
    let metric = || counter("m_total", 12, vec![label("a", 0, 12, &[("string", &[])])]);
    let entries: [(&[u8], u64); 4] =
        [(b"abcdefgh\0\0\0\0", 1), (b"abcdefghi\0\0\0", 2), (b"abcdefghij\0\0", 4), ("äöäöäö".as_bytes(), 8)];
    let source = rows(12, &entries);
    let scraper = scraper(vec![one(cut_at(8, metric()), source.clone())]);
    check_series(&scraper, &[("abcde…", 6), ("abcdefgh", 1), ("äö…", 8)]);
    check_limited(&scraper, &["max_label_length 6"]);
    // What was cut away stays away when a key goes.
    put(&source, &entries[..2]);
    check_series(&scraper, &[("abcde…", 6), ("abcdefgh", 1)]);
    let scraper = super::scraper(vec![one(cut_at(8, limited(1, metric())), rows(12, &entries[1..]))]);
    check_series(&scraper, &[("abcde…", 6)]);
    check_limited(&scraper, &["max_label_length 6", "max_series 2"]);
}

#[test]
fn what_leaves_the_rest_brings_only_what_is_new() {
    let source = numbers(&[(1, 10), (2, 20), (3, 30)]);
    let scraper = hasty(vec![one(with_other(&["rest"], limited(1, total())), source.clone())]);
    check_series(&scraper, &[("1", 10), ("rest", 50)]);
    set(&source, &[(2, 21), (3, 30)]);
    check_series(&scraper, &[("rest", 51)]);
    set(&source, &[(2, 25), (3, 31)]);
    check_series(&scraper, &[("2", 4), ("rest", 52)]);
    // Nobody is left for it, and it stays where it is.
    set(&source, &[(2, 26)]);
    check_series(&scraper, &[("2", 5), ("rest", 52)]);
    check_limited(&scraper, &["other 5"]);
}

#[test]
fn a_reload_keeps_who_was_admitted() {
    let source = numbers(&[(1, 10), (2, 20), (3, 30)]);
    let scraper = scraper(vec![one(limited(2, total()), source.clone())]);
    check_series(&scraper, &[("1", 10), ("2", 20)]);
    set(&source, &[(3, 30), (2, 20), (1, 10)]);
    renew(
        &scraper,
        vec![one(limited(2, MetricSpec { help: "Other".into(), ..total() }), source.clone())],
        &[],
    );
    check_series(&scraper, &[("1", 10), ("2", 20)]);
    // A lower limit holds at once, and so does none.
    renew(&scraper, vec![one(limited(1, total()), source.clone())], &[]);
    check_series(&scraper, &[("1", 10)]);
    renew(&scraper, vec![one(total(), source.clone())], &[]);
    check_series(&scraper, &[("1", 10), ("2", 20), ("3", 30)]);
    // A new limit begins with what comes first.
    renew(&scraper, vec![one(limited(1, total()), source)], &[]);
    check_series(&scraper, &[("3", 30)]);
}

#[test]
fn what_is_told_of_a_replaced_map_counts_against_the_limit() {
    let replaced = [Replaced { config: "c".to_owned(), map: "m_total".to_owned() }];
    for (rest, expected) in [(false, 0), (true, 1)] {
        let metric = || if rest { with_other(&["rest"], limited(2, total())) } else { limited(2, total()) };
        let scraper = hasty(vec![one(metric(), numbers(&[(1, 10), (2, 20), (3, 30)]))]);
        check_series(&scraper, &[("1", 10), ("2", 20), ("rest", 30)][..2 + expected]);
        renew(&scraper, vec![one(metric(), numbers(&[(4, 4), (2, 2), (3, 3)]))], &replaced);
        for _ in 0..3 {
            check_series(&scraper, &[("1", 10), ("2", 22), ("rest", 37)][..2 + expected]);
        }
        renew(&scraper, vec![one(limited(1, metric()), numbers(&[(5, 5)]))], &replaced);
        let page = series(&scraper);
        assert_eq!(page.len(), 1 + expected, "{page:?}");
        assert_eq!(page.get("rest").copied(), rest.then_some(42));
    }
}

#[test]
fn many_keys_that_pass_leave_little_behind() {
    for metric in [limited(100, total()), with_other(&["rest"], limited(100, total()))] {
        let rest = metric.limit.other.is_some();
        let source = numbers(&[]);
        let scraper = hasty(vec![one(metric, source.clone())]);
        let mut sum = 0;
        for turn in 0..100u32 {
            let entries: Vec<_> = (0..10_000).map(|n| (turn * 10_000 + n, 1)).collect();
            set(&source, &entries);
            sum += 10_000;
            let page = series(&scraper);
            assert!(page.len() <= 101, "{}", page.len());
            if rest {
                // Every second scrape a hundred have places of their own.
                let own = u64::from(turn / 2 + 1) * 100;
                assert_eq!(page["rest"], sum - own);
            }
        }
        let generation = scraper.live().current();
        let state = scraper.states.metric(&generation.families[0].contributors[0].identity);
        let memory = state.memory();
        assert!(memory.admission.as_ref().unwrap().len() <= 100);
        assert!(memory.ledger.as_ref().unwrap().remembered() <= if rest { 10_000 } else { 100 });
    }
}

#[test]
fn many_series_are_told() {
    let flag = |count: u32| {
        let source = numbers(&(0..count).map(|n| (n, 1)).collect::<Vec<_>>());
        let scraper = scraper(vec![one(total(), source)]);
        lines(&text(&scraper.scrape(&plain())), "ebpf_exporter_metric_many_series")
    };
    let expected =
        |flag: u8| vec![format!(r#"ebpf_exporter_metric_many_series{{config="c",metric="m_total"}} {flag}"#)];
    assert_eq!(flag(99_999), expected(0));
    assert_eq!(flag(100_000), expected(1));
}

proptest! {
    /// Keys come, count, go and come again, and a map may be replaced: the rest never falls, and all
    /// series together, with those that have ended, are what was counted.
    #[test]
    fn the_rest_never_falls_and_nothing_is_lost(
        max in 1usize..4,
        turns in proptest::collection::vec(
            (proptest::collection::btree_map(0u32..8, 1u64..20, 0..8), 0u8..8), 1..25),
    ) {
        let metric = || with_other(&["rest"], limited(max, total()));
        let mut source = numbers(&[]);
        let scraper = hasty(vec![one(metric(), source.clone())]);
        let mut held: BTreeMap<u32, u64> = BTreeMap::new();
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        let mut counted = 0;
        for (counts, event) in turns {
            if event == 0 {
                source = numbers(&[]);
                held.clear();
                let replaced = Replaced { config: "c".to_owned(), map: "m_total".to_owned() };
                renew(&scraper, vec![one(metric(), source.clone())], &[replaced]);
            }
            // A key that is not counted in this turn is deleted, by and by.
            held.retain(|key, _| counts.contains_key(key) || event % 2 == 0);
            for (key, count) in counts {
                *held.entry(key).or_default() += count;
                counted += count;
            }
            set(&source, &held.iter().map(|(key, value)| (*key, *value)).collect::<Vec<_>>());
            let page = series(&scraper);
            prop_assert!(page.len() <= max + 1);
            for (label, value) in page {
                let before = last.insert(label.clone(), value).unwrap_or(0);
                prop_assert!(value >= before, "{} fell from {} to {}", label, before, value);
            }
            prop_assert_eq!(last.values().sum::<u64>(), counted);
        }
    }
}
