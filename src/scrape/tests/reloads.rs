//! Generations without end: no series falls, no count is lost, no page is of two of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::*;

/// What happens to one of two configs that share a family.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A key of 0 to 5 counts.
    Count { config: usize, key: u32, by: u64 },
    /// A key is evicted.
    Evict { config: usize, key: u32 },
    /// A new generation with a new map.
    Replace { config: usize },
    /// A new generation with the same maps, and another help or zeros.
    View { config: usize },
    /// The config's files appear or go.
    Toggle { config: usize },
    /// Somebody looks.
    Scrape,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let config = 0..2usize;
    let event = prop_oneof![
        6 => (config.clone(), 0..6u32, 1..100u64).prop_map(|(config, key, by)| Event::Count { config, key, by }),
        1 => (config.clone(), 0..6u32).prop_map(|(config, key)| Event::Evict { config, key }),
        2 => config.clone().prop_map(|config| Event::Replace { config }),
        1 => config.clone().prop_map(|config| Event::View { config }),
        1 => config.prop_map(|config| Event::Toggle { config }),
        4 => Just(Event::Scrape),
    ];
    proptest::collection::vec(event, 1..80)
}

/// One config, with its map when it is there.
struct Side {
    name: &'static str,
    source: Option<Arc<Literal>>,
    entries: BTreeMap<u32, u64>,
    zero: bool,
}

impl Side {
    fn put(&self) {
        let keys: Vec<_> = self.entries.keys().map(|key| key.to_ne_bytes()).collect();
        let all: Vec<_> = keys.iter().zip(self.entries.values()).map(|(key, n)| (&key[..], *n)).collect();
        if let Some(source) = &self.source {
            put(source, &all);
        }
    }

    fn begin(&mut self) {
        self.entries.clear();
        self.source = Some(rows(4, &[]));
    }
}

struct World {
    merging: bool,
    sides: [Side; 2],
    scraper: Scraper,
    /// What really happened, by label.
    truth: BTreeMap<String, u64>,
    /// What the last page said.
    said: BTreeMap<String, u64>,
}

impl World {
    fn new(merging: bool) -> Self {
        let side = |name| Side { name, source: None, entries: BTreeMap::new(), zero: false };
        let mut sides = [side("one"), side("two")];
        sides[0].begin();
        let mut world =
            Self { merging, sides, scraper: scraper(vec![]), truth: BTreeMap::new(), said: BTreeMap::new() };
        world.publish(&[]);
        world
    }

    /// Keys 0 and 1 are one series where labels merge.
    fn label(&self, key: u32) -> String {
        if self.merging { ["x", "x", "y", "z", "z", "w"][key as usize].to_owned() } else { key.to_string() }
    }

    fn metric(&self, zero: bool) -> MetricSpec {
        let pairs = [("0", "x"), ("1", "x"), ("2", "y"), ("3", "z"), ("4", "z"), ("5", "w")];
        let merged: &[Step<'_>] = &[("uint", &[]), ("static_map", &pairs)];
        let label = if self.merging { label("a", 0, 4, merged) } else { uint("a", 0, 4) };
        MetricSpec { zero: zero && self.merging, ..counter("m_total", 4, vec![label]) }
    }

    fn publish(&mut self, replaced: &[&str]) {
        let there = self.sides.iter().filter_map(|side| Some((side, side.source.clone()?)));
        let members = there
            .map(|(side, source)| {
                member(side.name, vec![self.metric(side.zero)], vec![("m_total", source as Arc<dyn Source>)])
            })
            .collect();
        let map = |config: &&str| Replaced { config: (*config).to_owned(), map: "m_total".to_owned() };
        let handover = Handover { replaced: replaced.iter().map(map).collect(), ..Handover::default() };
        let deadline = Instant::now() + Duration::from_secs(60);
        let (_, problems) = self.scraper.publish(Generation::plan(members, Vec::new()), &handover, deadline);
        assert_eq!(problems, []);
        if self.sides.iter().all(|side| side.source.is_none()) {
            // The family is gone, and what it said.
            self.truth.clear();
            self.said.clear();
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Count { config, key, by } if self.sides[config].source.is_some() => {
                *self.sides[config].entries.entry(key).or_default() += by;
                self.sides[config].put();
                *self.truth.entry(self.label(key)).or_default() += by;
            }
            // Of a counter that is not merged only its map knows.
            Event::Evict { config, key } if self.merging && self.sides[config].source.is_some() => {
                // Nobody knows what came and went between two looks.
                self.scrape();
                self.sides[config].entries.remove(&key);
                self.sides[config].put();
                self.scrape();
            }
            Event::Replace { config } if self.sides[config].source.is_some() => {
                self.sides[config].begin();
                self.publish(&[self.sides[config].name]);
            }
            Event::View { config } => {
                self.sides[config].zero ^= true;
                self.publish(&[]);
            }
            Event::Toggle { config } => {
                match &self.sides[config].source {
                    Some(_) => self.sides[config].source = None,
                    None => self.sides[config].begin(),
                }
                self.publish(&[]);
            }
            Event::Scrape => self.scrape(),
            Event::Count { .. } | Event::Evict { .. } | Event::Replace { .. } => {}
        }
    }

    fn scrape(&mut self) {
        let page = text(&self.scraper.scrape(&plain()));
        let mut now = BTreeMap::new();
        for line in lines(&page, "ebpf_exporter_m_total") {
            let (labels, value) = line.rsplit_once(' ').unwrap();
            now.insert(labels.split('"').nth(1).unwrap().to_owned(), value.parse::<u64>().unwrap());
        }
        for (label, value) in &now {
            assert_eq!(*value, self.truth.get(label).copied().unwrap_or(0), "{label}: {page}");
            assert!(*value >= self.said.get(label).copied().unwrap_or(0), "{label}: {page}");
        }
        let alive = self.sides.iter().filter(|side| side.source.is_some());
        let keys: BTreeSet<String> =
            alive.flat_map(|side| side.entries.keys().map(|key| self.label(*key))).collect();
        assert!(keys.iter().all(|label| now.contains_key(label)), "{keys:?} {page}");
        self.said.extend(now);
    }
}

proptest! {
    /// Whatever is counted, evicted, replaced, removed and brought back: what is published is what happened.
    #[test]
    fn the_published_total_is_the_true_total(merging: bool, events in events()) {
        let mut world = World::new(merging);
        for event in events {
            world.happen(event);
        }
        world.scrape();
    }

    /// And nothing vanishes by a replaced map.
    #[test]
    fn no_series_vanishes_by_a_replaced_map(merging: bool, events in events()) {
        let mut world = World::new(merging);
        for event in events {
            if !matches!(event, Event::Evict { .. } | Event::Toggle { .. }) {
                world.happen(event);
            }
        }
        world.scrape();
        prop_assert!(world.truth.iter().all(|(label, sum)| world.said.get(label) == Some(sum)));
    }
}

/// The number of a line without labels.
#[track_caller]
fn number(page: &str, name: &str) -> u64 {
    let found = lines(page, &format!("{name} "));
    let [line] = found.as_slice() else { panic!("{name}: {page}") };
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn who_reads_while_generations_change_sees_each_whole() {
    const GENERATIONS: u64 = 1000;
    let literal = |n: u64| rows(4, &[(&[0; 4], n)]);
    let unlabelled = |family: &str, kind| MetricSpec { ..metric(family, kind, 4, vec![]) };
    let members = |n: u64, counts: &Arc<Literal>| {
        let gauge = |config: &str| {
            let metrics = vec![unlabelled(config, MetricKind::Gauge)];
            member(config, metrics, vec![(config, literal(n))])
        };
        let metrics = vec![unlabelled("m_total", MetricKind::Counter)];
        vec![gauge("first"), member("counts", metrics, vec![("m_total", counts.clone())]), gauge("last")]
    };
    let mut counts = literal(1);
    let scraper = scraper(members(0, &counts));
    let ended = AtomicBool::new(false);
    let reader = || {
        let (mut pages, mut highest, mut newest) = (0u64, 0, 0);
        while !ended.load(Ordering::SeqCst) || pages == 0 {
            let page = text(&scraper.scrape(&plain()));
            let total = number(&page, "ebpf_exporter_m_total");
            assert!(total >= highest, "{total} after {highest}");
            let generation = number(&page, "ebpf_exporter_first");
            assert_eq!(generation, number(&page, "ebpf_exporter_last"));
            // One of each generation so far, and perhaps the next one's.
            assert!(total == generation + 1 || total == generation + 2, "{total} in {generation}");
            assert!(generation >= newest);
            (highest, newest, pages) = (total, generation, pages + 1);
        }
        pages
    };
    std::thread::scope(|scope| {
        let readers = [scope.spawn(reader), scope.spawn(reader)];
        for n in 1..=GENERATIONS {
            // One event more, in the old map or, every other time, in a new one.
            let is_new = n % 2 == 0;
            let next = if is_new { literal(1) } else { Arc::clone(&counts) };
            if !is_new {
                put(&counts, &[(&[0; 4], 2)]);
            }
            let map = Replaced { config: "counts".to_owned(), map: "m_total".to_owned() };
            let replaced = if is_new { vec![map] } else { vec![] };
            let handover = Handover { replaced, ..Handover::default() };
            let deadline = Instant::now() + Duration::from_secs(60);
            let (old, problems) =
                scraper.publish(Generation::plan(members(n, &next), Vec::new()), &handover, deadline);
            assert_eq!((problems, old.views().len()), (vec![], 3));
            counts = next;
        }
        ended.store(true, Ordering::SeqCst);
        for reader in readers {
            assert!(reader.join().unwrap() > 0);
        }
    });
    assert_eq!(number(&text(&scraper.scrape(&plain())), "ebpf_exporter_m_total"), GENERATIONS + 1);
}
