//! What is done for maps beside scrapes.

use super::*;
use crate::snapshot::fixture::Table;
use crate::snapshot::{ReadError, Room, Taken};
use crate::spec::MapExpiry;

const NEVER: bool = false;

fn set(table: &Table, entries: &[(u32, u64)]) {
    for (key, value) in entries {
        table.set(&key.to_ne_bytes(), &value.to_ne_bytes());
    }
}

fn table(entries: &[(u32, u64)]) -> Arc<Table> {
    let table = Table::of_numbers(100);
    set(&table, entries);
    Arc::new(table)
}

/// 1 and 2 are `x`, 3 is `y`.
fn merging() -> MetricSpec {
    let names = &[("1", "x"), ("2", "x"), ("3", "y")];
    on_map(counter("m_total", 4, vec![label("a", 0, 4, &[("uint", &[]), ("static_map", names)])]))
}

fn on_map(metric: MetricSpec) -> MetricSpec {
    MetricSpec { map: "map".to_owned(), ..metric }
}

/// A config whose map `map` gives up what has not changed for so long.
fn expiring(after: Duration, metrics: Vec<MetricSpec>, source: Arc<dyn Source>) -> Member {
    let mut member = member("c", metrics, vec![("map", source)]);
    member.view_spec.expiries.push(MapExpiry { map: "map".to_owned(), after });
    member
}

/// One round that finds everything old, and begins with no memory of another one.
fn upkeep(scraper: &Scraper) {
    scraper.upkeep(&mut Upkeep::default(), &|| NEVER);
}

/// A key that is counted once more in the moment that it is deleted; 2 changes before that.
fn count_on(key: &[u8], last: &mut Vec<u8>) -> Result<Taken, ReadError> {
    if key == 2u32.to_ne_bytes() {
        return Ok(Taken::Changed);
    }
    let value = u64::from_ne_bytes(last[..].try_into().unwrap());
    *last = (value + 100).to_ne_bytes().to_vec();
    Ok(Taken::Out)
}

#[test]
fn what_is_taken_out_stays_in_the_sum() {
    let table = table(&[(1, 10), (2, 5), (3, 7)]);
    let scraper = scraper(vec![expiring(Duration::ZERO, vec![merging()], table.clone())]);
    let series = |label: &str, value: u64| format!(r#"ebpf_exporter_m_total{{a="{label}"}} {value}"#);
    check(&scraper, "ebpf_exporter_m_total", &[&series("x", 15), &series("y", 7)]);
    set(&table, &[(1, 12)]);
    table.at_take(count_on);
    upkeep(&scraper);
    assert_eq!(table.len(), 1);
    // Key 1 said 112 in the end. Nobody speaks for y any more.
    check(&scraper, "ebpf_exporter_m_total", &[&series("x", 117)]);
    check(
        &scraper,
        "ebpf_exporter_map_expired_entries_total",
        &[r#"ebpf_exporter_map_expired_entries_total{config="c",map="map"} 2"#],
    );
    set(&table, &[(1, 1), (3, 1)]);
    check(&scraper, "ebpf_exporter_m_total", &[&series("x", 118), &series("y", 108)]);
}

#[test]
fn what_no_scrape_saw_is_in_the_sum_too() {
    let table = table(&[(1, 10), (2, 5)]);
    let scraper = scraper(vec![expiring(Duration::ZERO, vec![merging()], table.clone())]);
    table.at_take(count_on);
    upkeep(&scraper);
    check(&scraper, "ebpf_exporter_m_total", &[r#"ebpf_exporter_m_total{a="x"} 115"#]);
}

#[test]
fn a_series_of_one_key_ends_with_it_and_begins_anew() {
    let table = table(&[(1, 10), (2, 20)]);
    let metric = on_map(counter("m_total", 4, vec![uint("a", 0, 4)]));
    let scraper = scraper(vec![expiring(Duration::ZERO, vec![metric], table.clone())]);
    table.at_take(count_on);
    for _ in 0..2 {
        upkeep(&scraper);
        check(&scraper, "ebpf_exporter_m_total", &[r#"ebpf_exporter_m_total{a="2"} 20"#]);
    }
    set(&table, &[(1, 3)]);
    check(
        &scraper,
        "ebpf_exporter_m_total",
        &[r#"ebpf_exporter_m_total{a="1"} 3"#, r#"ebpf_exporter_m_total{a="2"} 20"#],
    );
}

#[test]
fn every_metric_over_the_map_keeps_what_it_said() {
    let shape = Shape { key_size: 8, value_size: 16, lanes: 1, lane_stride: 16 };
    let table = Arc::new(Table::new(shape, 100, Room::Refuses));
    let key = |a: u32, slot: u32| [a.to_ne_bytes(), slot.to_ne_bytes()].concat();
    let value = |count: u64, bytes: u64| [count.to_ne_bytes(), bytes.to_ne_bytes()].concat();
    for (a, slot) in [(1, 0), (1, 1), (2, 1)] {
        table.set(&key(a, slot), &value(10, 1000));
    }
    let mut histogram = histogram("h", BucketKind::Linear { min: 0, max: 1 }, 1.0, vec![uint("a", 0, 4)]);
    histogram.key_size = 8;
    let MetricKind::Histogram(Histogram { slots, .. }) = &mut histogram.kind else { unreachable!() };
    *slots = Slots::Key(uint("slot", 4, 4));
    let bytes =
        MetricSpec { value: ValueSpec::unsigned(8, 8), ..counter("b_total", 8, vec![uint("a", 0, 4)]) };
    let metrics = vec![on_map(histogram), on_map(bytes)];
    let scraper = scraper(vec![expiring(Duration::ZERO, metrics, table.clone())]);
    let whole = [
        r#"ebpf_exporter_b_total{a="1"} 2000"#,
        r#"ebpf_exporter_h_bucket{a="1",le="+Inf"} 20"#,
        r#"ebpf_exporter_h_bucket{a="1",le="0"} 10"#,
        r#"ebpf_exporter_h_bucket{a="1",le="1"} 20"#,
        r#"ebpf_exporter_h_count{a="1"} 20"#,
    ];
    let of_one = |scraper: &Scraper| {
        let page = text(&scraper.scrape(&plain()));
        let mut found = [lines(&page, "ebpf_exporter_b_total"), lines(&page, "ebpf_exporter_h_")].concat();
        found.retain(|line| line.contains(r#"a="1""#) && !line.contains("_sum"));
        found
    };
    assert_eq!(of_one(&scraper), whole);
    let stays = key(1, 1);
    table.at_take(move |key, _| Ok(if key == stays { Taken::Gone } else { Taken::Out }));
    upkeep(&scraper);
    assert_eq!(table.len(), 1);
    assert_eq!(of_one(&scraper), whole);
}

#[test]
fn what_was_left_out_stays_out_and_the_rest_keeps_its_own() {
    for (other, expected) in [(None, None), (Some(vec!["rest".to_owned()]), Some(20 + 30))] {
        let table = table(&[(1, 10), (2, 20), (3, 30)]);
        let limit = SeriesLimit { max_series: Some(1), other, max_label_length: None };
        let metric = MetricSpec { limit, ..on_map(counter("m_total", 4, vec![uint("a", 0, 4)])) };
        let scraper = scraper(vec![expiring(Duration::ZERO, vec![metric], table.clone())]);
        let rest =
            |value: Option<u64>| value.map(|value| format!(r#"ebpf_exporter_m_total{{a="rest"}} {value}"#));
        let found = |scraper: &Scraper| {
            let page = text(&scraper.scrape(&plain()));
            lines(&page, "ebpf_exporter_m_total{a=\"rest\"}").pop()
        };
        assert_eq!(found(&scraper), rest(expected));
        // Two more, of which no scrape knows.
        set(&table, &[(4, 40), (5, 50)]);
        table.at_take(count_on);
        upkeep(&scraper);
        assert_eq!(table.len(), 1);
        // 1 had a series of its own; 3, 4 and 5 counted once more in the end.
        assert_eq!(found(&scraper), rest(expected.map(|sum| sum + 100 + 140 + 150)));
    }
}

#[test]
fn nothing_that_changed_lately_is_taken_out() {
    let table = table(&[(1, 10), (2, 20)]);
    let hour = Duration::from_secs(3600);
    let scraper = scraper(vec![expiring(hour, vec![merging()], table.clone())]);
    let mut memory = Upkeep::default();
    for _ in 0..3 {
        let wait = scraper.upkeep(&mut memory, &|| NEVER);
        assert!(wait <= Duration::from_secs(60));
    }
    assert_eq!(table.len(), 2);
}

#[test]
fn a_kernel_that_refuses_is_asked_once() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let table = table(&[(1, 10), (2, 20)]);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    table.at_take(move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
        Err(ReadError::Kernel { operation: "taking", message: "no".to_owned(), errno: 22 })
    });
    let scraper = scraper(vec![expiring(Duration::ZERO, vec![merging()], table.clone())]);
    let mut memory = Upkeep::default();
    for _ in 0..5 {
        scraper.upkeep(&mut memory, &|| NEVER);
    }
    assert_eq!((asked.load(Ordering::Relaxed), table.len()), (1, 2));
}

#[test]
fn a_round_that_is_over_takes_nothing_out() {
    let table = table(&[(1, 10)]);
    let scraper = scraper(vec![expiring(Duration::ZERO, vec![merging()], table.clone())]);
    scraper.upkeep(&mut Upkeep::default(), &|| true);
    assert_eq!(table.len(), 1);
}

/// Lines of how full maps are.
fn fullness(scraper: &Scraper) -> Vec<String> {
    let page = text(&scraper.scrape(&plain()));
    let lines = [lines(&page, "ebpf_exporter_map_entries"), lines(&page, "ebpf_exporter_map_nearly_full")];
    lines
        .concat()
        .iter()
        .map(|line| line.replace("ebpf_exporter_map_", "").replace(r#"config="c",map="#, ""))
        .collect()
}

#[test]
fn maps_that_no_metric_reads_are_counted_too() {
    let room = |room: Room, count: u32| {
        let shape = Shape { key_size: 4, value_size: 8, lanes: 1, lane_stride: 8 };
        let table = Table::new(shape, 100, room);
        set(&table, &(0..count).map(|n| (n, 1)).collect::<Vec<_>>());
        Arc::new(table) as Arc<dyn Source>
    };
    let sources = vec![
        ("map", room(Room::Refuses, 91)),
        ("start", room(Room::Refuses, 90)),
        ("leak", room(Room::Refuses, 91)),
        ("lru", room(Room::Evicts, 100)),
        ("array", room(Room::Fixed, 100)),
    ];
    let metric = on_map(counter("m_total", 4, vec![uint("a", 0, 4)]));
    let scraper = scraper(vec![member("c", vec![metric], sources)]);
    // Not counted yet.
    assert_eq!(fullness(&scraper), [r#"entries{"map"} 91"#, r#"nearly_full{"map"} 1"#]);
    upkeep(&scraper);
    let expected = [
        r#"entries{"leak"} 91"#,
        r#"entries{"lru"} 100"#,
        r#"entries{"map"} 91"#,
        r#"entries{"start"} 90"#,
        r#"nearly_full{"leak"} 1"#,
        r#"nearly_full{"map"} 1"#,
        r#"nearly_full{"start"} 0"#,
    ];
    assert_eq!(fullness(&scraper), expected);
    let page = text(&scraper.scrape(&plain()));
    assert_eq!(lines(&page, "ebpf_exporter_map_max_entries{").len(), 4, "{page}");
    // What is gone is forgotten.
    scraper.publish(Generation::default(), &Handover::default(), Instant::now() + Duration::from_secs(10));
    assert_eq!(fullness(&scraper), [""; 0]);
}
