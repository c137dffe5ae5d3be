//! What is done for maps beside scrapes, by one slow thread: entries of maps that no scrape reads are
//! counted, and entries that have not changed for long are taken out of maps whose config wants it.
//!
//! The kernel would count by itself (`bpf_map_sum_elem_count`, since Linux 6.6), but only for a program
//! of ours, which takes an object and rights to load it. Reading all entries now and then is true
//! on every kernel, and takes a hundredth of one CPU at most.

mod ages;
mod expire;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Scraper;
use super::generation::Generation;
use super::state::States;
use crate::snapshot::{Batch, Limits, ReadError, Room, Source};
use ages::Ages;

/// Time between two counts of a map.
const COUNT_PERIOD: Duration = Duration::from_secs(30);

/// Time between two looks for what has not changed, at the most.
const EXPIRE_PERIOD: Duration = Duration::from_secs(60);

/// A look takes at most one part in so many of the time.
const SHARE: u32 = 100;

/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A generation that has become live is noticed in this time.
const NOTICE: Duration = Duration::from_secs(5);

/// What is known of maps from one round to the next.
#[derive(Default)]
pub struct Upkeep {
    maps: HashMap<(String, String), Kept>,
}

/// What is known of one map.
struct Kept {
    source: Arc<dyn Source>,
    /// When it is looked at next.
    due: Instant,
    ages: Ages,
    /// Whether the kernel does not let us take entries out.
    is_refused: bool,
}

/// A map as one round meets it.
struct Subject<'g> {
    generation: &'g Arc<Generation>,
    config: &'g str,
    map: &'g str,
    source: &'g Arc<dyn Source>,
    /// When its entries are to be taken out.
    expire: Option<Duration>,
}

impl Scraper {
    /// Looks at every map that is due; how long to wait for the next round. Ends early when `is_over` says so.
    pub fn upkeep(&self, upkeep: &mut Upkeep, is_over: &dyn Fn() -> bool) -> Duration {
        let generation = self.live.current();
        let mut wait = NOTICE;
        let mut known = std::mem::take(&mut upkeep.maps);
        for subject in subjects(&generation) {
            let name = (subject.config.to_owned(), subject.map.to_owned());
            let kept = known.remove(&name).filter(|kept| Arc::ptr_eq(&kept.source, subject.source));
            let mut kept = kept.unwrap_or_else(|| Kept {
                source: Arc::clone(subject.source),
                due: Instant::now(),
                ages: Ages::default(),
                is_refused: false,
            });
            let began = Instant::now();
            if kept.due <= began && !is_over() {
                let period = self.look(&subject, &mut kept, is_over);
                kept.due = Instant::now() + period.max(began.elapsed() * SHARE);
            }
            wait = wait.min(kept.due.saturating_duration_since(Instant::now()));
            upkeep.maps.insert(name, kept);
        }
        wait
    }

    /// Looks at one map; how long it takes until the next look.
    fn look(&self, subject: &Subject<'_>, kept: &mut Kept, is_over: &dyn Fn() -> bool) -> Duration {
        let (outcome, period) = match subject.expire {
            Some(expire) if !kept.is_refused => {
                let period = (expire / 4).min(EXPIRE_PERIOD);
                (self.expire(subject, kept, expire, is_over), period)
            }
            _ => (count(subject.source.as_ref()), COUNT_PERIOD),
        };
        match outcome {
            Ok(entries) => self.states.sources().counted(subject.config, subject.map, entries),
            Err(error) => {
                let (config, map) = (subject.config, subject.map);
                tracing::debug!(config, map, %error, "the entries of the map cannot be counted");
            }
        }
        period
    }
}

/// Maps that no scrape counts, or whose entries are to be taken out. What is always full, or always in
/// the same order, is none.
fn subjects(generation: &Arc<Generation>) -> impl Iterator<Item = Subject<'_>> {
    let views = generation.views().iter();
    let all = views.flat_map(move |view| {
        view.sources.iter().map(move |named| Subject {
            generation,
            config: &view.config,
            map: &named.map,
            source: &named.source,
            expire: generation.expire(&view.config, &named.map),
        })
    });
    all.filter(|subject| {
        let is_scraped = || generation.is_scraped(subject.config, subject.map);
        subject.source.room() != Room::Fixed && (subject.expire.is_some() || !is_scraped())
    })
}

/// What bounds a look.
fn limits() -> Limits {
    Limits { deadline: Instant::now() + PATIENCE, max_bytes: usize::MAX }
}

/// How many entries there are.
fn count(source: &dyn Source) -> Result<u64, ReadError> {
    let limits = limits();
    let mut in_time =
        |_: Batch<'_>| if Instant::now() < limits.deadline { Ok(()) } else { Err(ReadError::Late) };
    Ok(source.read(&limits, &mut in_time)?.entries)
}

impl States {
    /// Counts entries that were taken out.
    fn expired(&self, subject: &Subject<'_>, entries: u64) {
        let name = (subject.config.to_owned(), subject.map.to_owned());
        *self.sources().expired.entry(name).or_default() += entries;
    }
}
