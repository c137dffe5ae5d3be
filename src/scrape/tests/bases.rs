//! One generation after another: what is carried, what begins anew, what is gone.

use super::*;
use crate::problem::{Problem, Severity};
use crate::snapshot::ReadError;
use crate::snapshot::fixture::Failing;
use crate::spec::SlotArray;

fn key(n: u32) -> [u8; 4] {
    n.to_ne_bytes()
}

fn numbers(entries: &[(u32, u64)]) -> Arc<Literal> {
    let source = rows(4, &[]);
    set(&source, entries);
    source
}

fn set(source: &Literal, entries: &[(u32, u64)]) {
    let keys: Vec<_> = entries.iter().map(|(n, _)| key(*n)).collect();
    put(source, &keys.iter().zip(entries).map(|(key, (_, value))| (&key[..], *value)).collect::<Vec<_>>());
}

/// Labels that tell all keys apart.
fn plain_labels() -> Vec<LabelSpec> {
    vec![uint("a", 0, 4)]
}

/// 1 and 2 are `x`, 3 is `y`.
fn merging_labels() -> Vec<LabelSpec> {
    vec![label("a", 0, 4, &[("uint", &[]), ("static_map", &[("1", "x"), ("2", "x"), ("3", "y")])])]
}

fn on(map: &str, metric: MetricSpec) -> MetricSpec {
    MetricSpec { map: map.to_owned(), ..metric }
}

fn total(labels: Vec<LabelSpec>) -> MetricSpec {
    on("map", counter("m_total", 4, labels))
}

fn one(metric: MetricSpec, source: Arc<dyn Source>) -> Member {
    let map = metric.map.clone();
    member("c", vec![metric], vec![(&map, source)])
}

/// Publishes configs; maps of `replaced` are named by `config/map`.
fn publish(scraper: &Scraper, members: Vec<Member>, replaced: &[&str]) -> Vec<Problem> {
    let replaced: Vec<_> = replaced
        .iter()
        .map(|name| name.split_once('/').unwrap())
        .map(|(config, map)| Replaced { config: config.to_owned(), map: map.to_owned() })
        .collect();
    let deadline = Instant::now() + Duration::from_secs(10);
    let handover = Handover { replaced, ..Handover::default() };
    scraper.publish(Generation::plan(members, Vec::new()), &handover, deadline).1
}

/// Publishes what must cost nothing.
#[track_caller]
fn renew(scraper: &Scraper, members: Vec<Member>, replaced: &[&str]) {
    assert_eq!(publish(scraper, members, replaced), []);
}

/// Compares the series of `m_total`, written as `{labels} value`.
#[track_caller]
fn check_total(scraper: &Scraper, expected: &[&str]) {
    let page = text(&scraper.scrape(&plain()));
    let found: Vec<_> = lines(&page, "ebpf_exporter_m_total")
        .iter()
        .map(|line| line.trim_start_matches("ebpf_exporter_m_total").trim().replace("a=", ""))
        .collect();
    assert_eq!(found, expected, "{page}");
}

#[test]
fn a_replaced_map_goes_on_from_the_old_total() {
    for labels in [plain_labels, || vec![uint("a", 0, 1)], || vec![label("a", 0, 4, &[("string", &[])])]] {
        // Of all three paths: `1` is a text too.
        let n = u32::from_ne_bytes(*b"1\0\0\0");
        let shown = if labels()[0].chain.traits().injective == crate::decode::Injective::Canonical {
            "1"
        } else {
            "49"
        };
        let mut source = numbers(&[(n, 10)]);
        let scraper = scraper(vec![one(total(labels()), source.clone())]);
        check_total(&scraper, &[&format!("{{\"{shown}\"}} 10")]);
        let mut sum = 10;
        for count in 1..5 {
            // What happens after the last scrape counts too.
            let now = if count == 1 { 12 } else { count };
            sum += if count == 1 { 2 } else { 1 };
            set(&source, &[(n, now)]);
            source = numbers(&[]);
            renew(&scraper, vec![one(total(labels()), source.clone())], &["c/map"]);
            check_total(&scraper, &[&format!("{{\"{shown}\"}} {sum}")]);
            set(&source, &[(n, count)]);
            sum += count;
            check_total(&scraper, &[&format!("{{\"{shown}\"}} {sum}")]);
            set(&source, &[(n, count + 1)]);
        }
    }
}

#[test]
fn a_generation_that_was_never_scraped_counts_too() {
    let source = numbers(&[(1, 10)]);
    let scraper = scraper(vec![one(total(plain_labels()), source)]);
    for n in 1..4 {
        renew(&scraper, vec![one(total(plain_labels()), numbers(&[(1, n)]))], &["c/map"]);
    }
    check_total(&scraper, &[r#"{"1"} 16"#]);
}

/// Its map goes on under the new name: what it said is no base, because the map still says it.
#[test]
fn a_renamed_config_counts_nothing_twice() {
    for labels in [plain_labels(), merging_labels()] {
        let source = numbers(&[(1, 10), (3, 5)]);
        let member = |config| member(config, vec![total(labels.clone())], vec![("map", source.clone() as _)]);
        let scraper = scraper(vec![member("old")]);
        let before = lines(&text(&scraper.scrape(&plain())), "ebpf_exporter_m_total");
        let generation = Generation::plan(vec![member("new")], Vec::new());
        let renamed = vec![("old".to_owned(), "new".to_owned())];
        let handover = Handover { renamed, ..Handover::default() };
        let (_, problems) = scraper.publish(generation, &handover, Instant::now() + Duration::from_secs(10));
        assert_eq!(problems, []);
        assert_eq!(lines(&text(&scraper.scrape(&plain())), "ebpf_exporter_m_total"), before);
    }
}

#[test]
fn a_map_that_goes_on_is_left_alone() {
    let source = numbers(&[(1, 10)]);
    let scraper = scraper(vec![one(total(plain_labels()), source.clone())]);
    check_total(&scraper, &[r#"{"1"} 10"#]);
    let renamed = MetricSpec { help: "Other".to_owned(), ..total(plain_labels()) };
    renew(&scraper, vec![one(renamed, source.clone())], &[]);
    assert_eq!(source.reads(), 1);
    set(&source, &[(1, 4)]);
    // A counter of one key shows what its map says, as before.
    check_total(&scraper, &[r#"{"1"} 4"#]);
}

#[test]
fn a_merged_counter_goes_on_over_a_view_change() {
    let source = numbers(&[(1, 10), (2, 5)]);
    let scraper = scraper(vec![one(total(merging_labels()), source.clone())]);
    check_total(&scraper, &[r#"{"x"} 15"#]);
    set(&source, &[(2, 5)]);
    check_total(&scraper, &[r#"{"x"} 15"#]);
    let renamed = MetricSpec { help: "Other".to_owned(), ..total(merging_labels()) };
    renew(&scraper, vec![one(renamed, source.clone())], &[]);
    check_total(&scraper, &[r#"{"x"} 15"#]);
}

#[test]
fn where_the_number_lies_is_the_new_objects_affair() {
    let shape = Shape { key_size: 8, value_size: 16, lanes: 1, lane_stride: 16 };
    let value = [7u64.to_ne_bytes(), 3u64.to_ne_bytes()].concat();
    let new = Literal::new(shape, [(&[0, 0, 0, 0, 1, 0, 0, 0][..], value.as_slice())]);
    let moved = MetricSpec {
        key_size: 8,
        value: ValueSpec::unsigned(8, 8),
        ..on("other", total(vec![uint("a", 4, 4)]))
    };
    let scraper = scraper(vec![one(total(plain_labels()), numbers(&[(1, 10), (2, 1)]))]);
    renew(&scraper, vec![one(moved, Arc::new(new))], &["c/map"]);
    check_total(&scraper, &[r#"{"1"} 13"#, r#"{"2"} 1"#]);
}

#[test]
fn the_number_may_be_of_another_kind_and_scale() {
    #[track_caller]
    fn check_next(next: MetricSpec, bits: u64, expected: &str) {
        let scaled = MetricSpec { scale: 0.5, ..total(plain_labels()) };
        let scraper = scraper(vec![one(scaled, numbers(&[(1, 5)]))]);
        check_total(&scraper, &[r#"{"1"} 2.5"#]);
        renew(&scraper, vec![one(next, numbers(&[(1, bits)]))], &["c/map"]);
        check_total(&scraper, &[expected]);
    }
    check_next(total(plain_labels()), 3, r#"{"1"} 5.5"#);
    check_next(MetricSpec { scale: 0.25, ..total(plain_labels()) }, 3, r#"{"1"} 3.25"#);
    let signed = MetricSpec { value: ValueSpec::signed(0, 8), ..total(plain_labels()) };
    check_next(signed, 3, r#"{"1"} 5.5"#);
    let float = ValueSpec { offset: 0, width: 8, kind: crate::snapshot::ValueKind::Float };
    let float = MetricSpec { value: float, ..total(plain_labels()) };
    check_next(float, 0.25f64.to_bits(), r#"{"1"} 2.75"#);
}

#[test]
fn a_scale_that_changes_alone_changes_the_base_too() {
    let scraper = scraper(vec![one(total(plain_labels()), numbers(&[(1, 10)]))]);
    let source = numbers(&[(1, 6)]);
    renew(&scraper, vec![one(total(plain_labels()), source.clone())], &["c/map"]);
    check_total(&scraper, &[r#"{"1"} 16"#]);
    let halved = MetricSpec { scale: 0.5, ..total(plain_labels()) };
    renew(&scraper, vec![one(halved, source)], &[]);
    check_total(&scraper, &[r#"{"1"} 8"#]);
}

#[test]
fn another_number_of_the_same_map_begins_anew() {
    let shape = Shape { key_size: 4, value_size: 16, lanes: 1, lane_stride: 16 };
    let value = [7u64.to_ne_bytes(), 3u64.to_ne_bytes()].concat();
    let source = Arc::new(Literal::new(shape, [(&key(1)[..], value.as_slice())]));
    let scraper = scraper(vec![one(total(plain_labels()), numbers(&[(1, 10)]))]);
    renew(&scraper, vec![one(total(plain_labels()), source.clone())], &["c/map"]);
    check_total(&scraper, &[r#"{"1"} 17"#]);
    let other = MetricSpec { value: ValueSpec::unsigned(8, 8), ..total(plain_labels()) };
    renew(&scraper, vec![one(other, source)], &[]);
    check_total(&scraper, &[r#"{"1"} 3"#]);
}

#[test]
fn other_labels_and_gauges_have_no_base() {
    let scraper = scraper(vec![one(total(plain_labels()), numbers(&[(1, 10)]))]);
    check_total(&scraper, &[r#"{"1"} 10"#]);
    let other = vec![uint("b", 0, 4)];
    renew(&scraper, vec![one(total(other), numbers(&[(1, 2)]))], &["c/map"]);
    check_total(&scraper, &[r#"{b="1"} 2"#]);
    let gauge = MetricSpec { kind: MetricKind::Gauge, ..total(plain_labels()) };
    renew(&scraper, vec![one(gauge.clone(), numbers(&[(1, 3)]))], &["c/map"]);
    check_total(&scraper, &[r#"{"1"} 3"#]);
    renew(&scraper, vec![one(gauge, numbers(&[(2, 4)]))], &["c/map"]);
    check_total(&scraper, &[r#"{"2"} 4"#]);
    renew(&scraper, vec![one(total(plain_labels()), numbers(&[(1, 5)]))], &["c/map"]);
    check_total(&scraper, &[r#"{"1"} 5"#]);
}

fn shared(config: &str, metric: MetricSpec, source: &Arc<Literal>) -> Member {
    member(config, vec![metric], vec![("map", source.clone())])
}

#[test]
fn a_shared_series_keeps_what_a_removed_config_said() {
    let (first, second) = (numbers(&[(1, 10), (2, 20)]), numbers(&[(1, 5)]));
    let half = || MetricSpec { scale: 0.5, ..total(plain_labels()) };
    let scraper = scraper(vec![shared("one", half(), &first), shared("two", total(plain_labels()), &second)]);
    check_total(&scraper, &[r#"{"1"} 10"#, r#"{"2"} 10"#]);
    set(&first, &[(1, 13), (2, 20)]);
    renew(&scraper, vec![shared("two", total(plain_labels()), &second)], &[]);
    // The second speaks for one of them only.
    check_total(&scraper, &[r#"{"1"} 11.5"#]);
    set(&second, &[(1, 6), (2, 1)]);
    check_total(&scraper, &[r#"{"1"} 12.5"#, r#"{"2"} 11"#]);
    // And on, when its own map is replaced and the first returns.
    let (first, second) = (numbers(&[(3, 8)]), numbers(&[(2, 1)]));
    let members = || vec![shared("one", half(), &first), shared("two", total(plain_labels()), &second)];
    renew(&scraper, members(), &["two/map"]);
    check_total(&scraper, &[r#"{"1"} 12.5"#, r#"{"2"} 12"#, r#"{"3"} 4"#]);
}

#[test]
fn a_base_of_one_config_speaks_for_what_another_leaves() {
    let (first, second) = (numbers(&[(1, 10)]), numbers(&[(1, 5)]));
    let members = |first: &Arc<Literal>, second: &Arc<Literal>| {
        vec![shared("one", total(plain_labels()), first), shared("two", total(plain_labels()), second)]
    };
    let scraper = scraper(members(&first, &second));
    let empty = numbers(&[]);
    renew(&scraper, members(&empty, &second), &["one/map"]);
    check_total(&scraper, &[r#"{"1"} 15"#]);
    renew(&scraper, vec![shared("one", total(plain_labels()), &empty)], &[]);
    check_total(&scraper, &[r#"{"1"} 15"#]);
}

#[test]
fn both_maps_of_a_shared_family_may_be_replaced() {
    let members = |one: &[(u32, u64)], two: &[(u32, u64)]| {
        let metric = || total(merging_labels());
        vec![shared("one", metric(), &numbers(one)), shared("two", metric(), &numbers(two))]
    };
    let scraper = scraper(members(&[(1, 10), (3, 1)], &[(2, 5)]));
    renew(&scraper, members(&[], &[]), &["one/map", "two/map"]);
    check_total(&scraper, &[r#"{"x"} 15"#, r#"{"y"} 1"#]);
    renew(&scraper, members(&[(2, 1)], &[(3, 1)]), &["one/map", "two/map"]);
    check_total(&scraper, &[r#"{"x"} 16"#, r#"{"y"} 2"#]);
}

#[test]
fn one_of_two_metrics_of_a_family_goes() {
    let (first, second) = (numbers(&[(1, 10)]), numbers(&[(1, 5), (2, 7)]));
    let metric = |map: &str| on(map, counter("m_total", 4, merging_labels()));
    let both = |metrics| {
        let sources: Vec<(&str, Arc<dyn Source>)> =
            vec![("first", first.clone()), ("second", second.clone())];
        member("c", metrics, sources)
    };
    let scraper = scraper(vec![both(vec![metric("first"), metric("second")])]);
    check_total(&scraper, &[r#"{"x"} 22"#]);
    set(&second, &[(1, 5)]);
    check_total(&scraper, &[r#"{"x"} 22"#]);
    // The second keeps what it remembers although it is the first now.
    renew(&scraper, vec![both(vec![metric("second")])], &[]);
    check_total(&scraper, &[r#"{"x"} 22"#]);
    set(&second, &[(1, 6)]);
    check_total(&scraper, &[r#"{"x"} 23"#]);
    assert_eq!((first.reads(), second.reads()), (3, 4));
}

#[test]
fn metrics_may_change_their_order() {
    let (first, second) = (numbers(&[(1, 10)]), numbers(&[(1, 5), (2, 7)]));
    let metric = |map: &str| on(map, counter("m_total", 4, merging_labels()));
    let both = |maps: [&str; 2]| {
        let sources: Vec<(&str, Arc<dyn Source>)> =
            vec![("first", first.clone()), ("second", second.clone())];
        member("c", maps.map(metric).into(), sources)
    };
    let scraper = scraper(vec![both(["first", "second"])]);
    check_total(&scraper, &[r#"{"x"} 22"#]);
    set(&second, &[(1, 5)]);
    renew(&scraper, vec![both(["second", "first"])], &[]);
    check_total(&scraper, &[r#"{"x"} 22"#]);
}

#[test]
fn metrics_of_one_map_are_told_apart_by_their_numbers() {
    let shape = Shape { key_size: 4, value_size: 16, lanes: 1, lane_stride: 16 };
    let value = |first: u64, second: u64| [first.to_ne_bytes(), second.to_ne_bytes()].concat();
    let source = Arc::new(Literal::new(shape, [(&key(1)[..], value(10, 100).as_slice())]));
    let at = |offset| MetricSpec { value: ValueSpec::unsigned(offset, 8), ..total(merging_labels()) };
    let of = |offsets: &[usize]| {
        let metrics = offsets.iter().map(|offset| at(*offset)).collect();
        vec![member("c", metrics, vec![("map", source.clone())])]
    };
    let scraper = scraper(of(&[0, 8]));
    check_total(&scraper, &[r#"{"x"} 110"#]);
    // Made again: only the memory of each number knows what it was.
    source.replace([(&key(1)[..], value(1, 2).as_slice())]);
    check_total(&scraper, &[r#"{"x"} 113"#]);
    renew(&scraper, of(&[8, 0]), &[]);
    check_total(&scraper, &[r#"{"x"} 113"#]);
    renew(&scraper, of(&[0]), &[]);
    check_total(&scraper, &[r#"{"x"} 113"#]);
    source.replace([(&key(1)[..], value(2, 50).as_slice())]);
    check_total(&scraper, &[r#"{"x"} 114"#]);
}

#[test]
fn a_counter_that_was_a_gauge_meanwhile_begins_anew() {
    let source = numbers(&[(1, 10), (3, 1)]);
    let scraper = scraper(vec![one(total(merging_labels()), source.clone())]);
    check_total(&scraper, &[r#"{"x"} 10"#, r#"{"y"} 1"#]);
    let gauge = MetricSpec { kind: MetricKind::Gauge, ..total(merging_labels()) };
    renew(&scraper, vec![one(gauge, source.clone())], &[]);
    set(&source, &[(1, 4)]);
    check_total(&scraper, &[r#"{"x"} 4"#]);
    renew(&scraper, vec![one(total(merging_labels()), source)], &[]);
    check_total(&scraper, &[r#"{"x"} 4"#]);
}

#[test]
fn what_is_gone_is_forgotten() {
    let scraper = scraper(vec![one(total(merging_labels()), numbers(&[(1, 10)]))]);
    check_total(&scraper, &[r#"{"x"} 10"#]);
    renew(&scraper, vec![], &[]);
    check_total(&scraper, &[]);
    renew(&scraper, vec![one(total(merging_labels()), numbers(&[(1, 1)]))], &[]);
    check_total(&scraper, &[r#"{"x"} 1"#]);
}

#[test]
fn a_last_read_that_fails_is_said_and_what_is_known_is_kept() {
    #[track_caller]
    fn check_lost(problems: &[Problem], what: &str) {
        let [problem] = problems else { panic!("{problems:?}") };
        assert_eq!((problem.code, problem.severity), ("base-lost", Severity::Warning));
        let place = &problem.place;
        let said = [&place.config, &place.metric, &place.map].map(|part| part.as_deref().unwrap_or_default());
        assert_eq!(said, ["c", "m_total", "map"]);
        assert!(problem.message.starts_with(what), "{problem}");
        assert!(problem.found.as_ref().is_some_and(|found| found.contains("changed faster")), "{problem}");
    }
    let broken = || Arc::new(Failing(ReadError::Unstable));
    for (labels, what, expected) in [
        // Grouped: the last scrape is known.
        (merging_labels as fn() -> _, "what was counted since the last scrape", &[r#"{"x"} 11"#][..]),
        // Direct: nothing is.
        (plain_labels, "what was counted so far", &[r#"{"1"} 1"#]),
    ] {
        let scraper = scraper(vec![one(total(labels()), numbers(&[(1, 10)]))]);
        let _ = scraper.scrape(&plain());
        // The old map cannot be read any more.
        renew(&scraper, vec![one(total(labels()), broken())], &[]);
        let problems = publish(&scraper, vec![one(total(labels()), numbers(&[(1, 1)]))], &["c/map"]);
        check_lost(&problems, what);
        check_total(&scraper, expected);
    }
}

#[test]
fn a_series_that_began_at_zero_has_a_base_too() {
    let metric = || MetricSpec { zero: true, ..total(merging_labels()) };
    let source = numbers(&[(1, 10)]);
    let scraper = scraper(vec![one(metric(), source.clone())]);
    check_total(&scraper, &[r#"{"x"} 10"#, r#"{"y"} 0"#]);
    // Evicted: nothing speaks for it but that it was there from the start.
    set(&source, &[]);
    renew(&scraper, vec![one(metric(), numbers(&[]))], &["c/map"]);
    check_total(&scraper, &[r#"{"x"} 10"#, r#"{"y"} 0"#]);
    renew(&scraper, vec![one(metric(), numbers(&[(2, 1), (3, 2)]))], &["c/map"]);
    check_total(&scraper, &[r#"{"x"} 11"#, r#"{"y"} 2"#]);
}

#[test]
fn cpus_keep_their_own_totals() {
    let shape = Shape { key_size: 4, value_size: 8, lanes: 2, lane_stride: 8 };
    let source = |lanes: [u64; 2]| -> Arc<dyn Source> {
        let value: Vec<u8> = lanes.iter().flat_map(|lane| lane.to_ne_bytes()).collect();
        Arc::new(Literal::new(shape, [(&key(0)[..], value.as_slice())]))
    };
    let split = || MetricSpec { reduce: Reduce::Split, ..total(vec![cpu_label()]) };
    let scraper = scraper(vec![one(split(), source([3, 4]))]);
    renew(&scraper, vec![one(split(), source([10, 20]))], &["c/map"]);
    check_total(&scraper, &[r#"{cpu="0"} 13"#, r#"{cpu="1"} 24"#]);
    // Summed from now on: other series.
    renew(&scraper, vec![one(total(vec![]), source([1, 2]))], &["c/map"]);
    check_total(&scraper, &["3"]);
}

/// `[cumulated counts.., sum, count]` of a histogram without labels.
#[track_caller]
fn check_histogram(scraper: &Scraper, expected: &[&str]) {
    let page = text(&scraper.scrape(&plain()));
    let found: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("ebpf_exporter_h_"))
        .map(|line| line.rsplit(' ').next().unwrap())
        .collect();
    assert_eq!(found, expected, "{page}");
}

/// Slots 0 and 1 and the sum, each an entry.
fn slots(numbers: [u64; 3]) -> Arc<Literal> {
    let keys: Vec<_> = (0..3u64).map(u64::to_ne_bytes).collect();
    rows(8, &keys.iter().zip(numbers).map(|(key, n)| (&key[..], n)).collect::<Vec<_>>())
}

/// Slots 0 and 1, the sum, and the number of all observations, in one value.
fn array(numbers: [u64; 4]) -> Arc<Literal> {
    let shape = Shape { key_size: 4, value_size: 32, lanes: 1, lane_stride: 32 };
    let value: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
    Arc::new(Literal::new(shape, [(&key(0)[..], value.as_slice())]))
}

const BOUNDS: BucketKind = BucketKind::Linear { min: 0, max: 1 };

fn by_key(kind: BucketKind) -> MetricSpec {
    histogram("h", kind, 0.5, vec![])
}

fn by_array(kind: BucketKind, sum: bool, count: bool) -> MetricSpec {
    let value = |is_there: bool, offset| is_there.then_some(ValueSpec::unsigned(offset, 8));
    let slots =
        Slots::Array(SlotArray { length: 2, sum: value(sum, 16), count: value(count, 24), by_bound: false });
    let buckets = Buckets { kind, multiplier: 0.5 };
    metric("h", MetricKind::Histogram(Histogram { buckets, slots }), 4, vec![])
}

#[test]
fn histograms_keep_every_bucket_and_the_sum() {
    // As entries.
    let scraper = scraper(vec![one(by_key(BOUNDS), slots([1, 2, 30]))]);
    check_histogram(&scraper, &["1", "3", "3", "15", "3"]);
    renew(&scraper, vec![one(by_key(BOUNDS), slots([0, 5, 10]))], &["c/h"]);
    check_histogram(&scraper, &["1", "8", "8", "20", "8"]);
    // From entries to an array, where two observations are in no slot.
    renew(&scraper, vec![one(by_array(BOUNDS, true, true), array([1, 1, 2, 4]))], &["c/h"]);
    check_histogram(&scraper, &["2", "10", "12", "21", "12"]);
    // The same again; then without the number of all.
    renew(&scraper, vec![one(by_array(BOUNDS, true, true), array([0, 0, 0, 3]))], &["c/h"]);
    check_histogram(&scraper, &["2", "10", "15", "21", "15"]);
    renew(&scraper, vec![one(by_array(BOUNDS, true, false), array([1, 0, 2, 0]))], &["c/h"]);
    check_histogram(&scraper, &["3", "11", "16", "22", "16"]);
    // A value without a sum makes it unknown, not forgotten.
    renew(&scraper, vec![one(by_array(BOUNDS, false, false), array([1, 0, 2, 0]))], &["c/h"]);
    check_histogram(&scraper, &["4", "12", "17", "NaN", "17"]);
    renew(&scraper, vec![one(by_key(BOUNDS), slots([0, 0, 2]))], &["c/h"]);
    check_histogram(&scraper, &["4", "12", "17", "23", "17"]);
    // The same bounds, written in another way.
    let fixed = BucketKind::Fixed { keys: vec![0.0, 1.0] };
    renew(&scraper, vec![one(by_key(fixed), slots([1, 0, 0]))], &["c/h"]);
    check_histogram(&scraper, &["5", "13", "18", "23", "18"]);
    // Other bounds are other series.
    let other = BucketKind::Linear { min: 0, max: 2 };
    renew(&scraper, vec![one(by_key(other), slots([1, 0, 0]))], &["c/h"]);
    check_histogram(&scraper, &["1", "1", "1", "1", "0", "1"]);
}

#[test]
fn a_map_is_read_once_however_many_metrics_keep_it() {
    let source = numbers(&[(1, 5)]);
    let metrics =
        || ["x_total", "y_total", "z_total"].map(|name| on("map", counter(name, 4, plain_labels()))).into();
    let scraper = scraper(vec![member("c", metrics(), vec![("map", source.clone())])]);
    renew(&scraper, vec![member("c", metrics(), vec![("map", numbers(&[(1, 1)]))])], &["c/map"]);
    assert_eq!(source.reads(), 1);
    for name in ["x", "y", "z"] {
        let line = format!("ebpf_exporter_{name}_total{{a=\"1\"}} 6");
        check(&scraper, &format!("ebpf_exporter_{name}_total"), &[&line]);
    }
}

#[test]
fn what_is_known_of_unchanged_sources_and_decoders_goes_on() {
    let metric = total(vec![label("a", 0, 4, &[("string", &[]), ("regexp", &[("^a", "")])])]);
    let source = rows(4, &[(b"abcd", 1), (b"xbcd", 2)]);
    let settings = Settings { skip_cache_size: 10, ..Settings::default() };
    let scraper = scraper_with(vec![one(metric.clone(), source.clone())], settings);
    let _ = scraper.scrape(&plain());
    let known = |generation: &Generation| {
        let contributor = &generation.families[0].contributors[0];
        let skipped = state::lock(&contributor.skipped).contains(b"xbcd");
        (generation.sources[0].last_read() > Duration::ZERO, skipped)
    };
    assert_eq!(known(&scraper.live().current()), (true, true));
    renew(&scraper, vec![one(metric, source.clone())], &[]);
    assert_eq!(known(&scraper.live().current()), (true, true));
    // Other decoders may see it in another way.
    let other = total(vec![label("a", 0, 4, &[("string", &[]), ("regexp", &[("^x", "")])])]);
    renew(&scraper, vec![one(other, source)], &[]);
    assert_eq!(known(&scraper.live().current()), (true, false));
    check_total(&scraper, &[r#"{"x"} 2"#]);
}
