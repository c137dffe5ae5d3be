//! Entries that have not changed for long are taken out of their map.
//!
//! They are looked for beside scrapes, and taken out between two readings, some hundred at a time: so
//! a reading sees an entry either in the map or, with what it said in the end, in the sum of its series.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Kept, Subject, limits};
use crate::scrape::Scraper;
use crate::scrape::fold::bequeath;
use crate::snapshot::{Batch, Limits, ReadError, ReadStatistics, Shape, Snapshot, Source, Taken};

/// Entries that one look takes out at most; the rest waits for the next.
const MOST: usize = 1 << 16;

/// Entries that are taken out between two readings.
const TURN: usize = 512;

/// Entries, side by side.
struct Entries {
    shape: Shape,
    keys: Vec<u8>,
    values: Vec<u8>,
}

impl Entries {
    fn new(shape: Shape) -> Self {
        Self { shape, keys: Vec::new(), values: Vec::new() }
    }

    fn push(&mut self, key: &[u8], value: &[u8]) {
        self.keys.extend_from_slice(key);
        self.values.extend_from_slice(value);
    }

    fn len(&self) -> usize {
        self.keys.len() / self.shape.key_size.max(1)
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        rows(self.shape, &self.keys, &self.values)
    }
}

fn rows<'a>(shape: Shape, keys: &'a [u8], values: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    let value = (shape.lanes * shape.lane_stride).max(1);
    keys.chunks_exact(shape.key_size.max(1)).zip(values.chunks_exact(value))
}

/// What was taken out, as something that can be read.
impl Source for Entries {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn max_entries(&self) -> Option<u64> {
        None
    }

    fn read(
        &self,
        _limits: &Limits,
        push: &mut dyn FnMut(Batch<'_>) -> Result<(), ReadError>,
    ) -> Result<ReadStatistics, ReadError> {
        let rows = self.len();
        push(Batch { shape: self.shape, rows, keys: &self.keys, values: &self.values })?;
        Ok(ReadStatistics { entries: rows as u64, vanished: 0, epoch: 0 })
    }
}

impl Scraper {
    /// Takes out what has not changed for so long; how many entries there are then.
    pub(super) fn expire(
        &self,
        subject: &Subject<'_>,
        kept: &mut Kept,
        expire: Duration,
        is_over: &dyn Fn() -> bool,
    ) -> Result<u64, ReadError> {
        let (entries, old) = look(subject, kept, expire)?;
        let mut out = 0;
        let mut waiting = old.iter();
        while !is_over() {
            let turn: Vec<_> = waiting.by_ref().take(TURN).collect();
            if turn.is_empty() {
                break;
            }
            match self.turnstile.alone(|| self.take_out(subject, &turn)) {
                Some(Ok(taken)) => out += taken,
                Some(Err(error)) => {
                    kept.is_refused = true;
                    let (config, map) = (subject.config, subject.map);
                    tracing::warn!(config, map, %error, "entries cannot be taken out: `expire` has no effect");
                    break;
                }
                // Another generation is live: it is looked at anew.
                None => break,
            }
        }
        if out > 0 {
            self.states.expired(subject, out);
            let (config, map) = (subject.config, subject.map);
            tracing::debug!(config, map, entries = out, "taken out of the map");
        }
        Ok(entries.saturating_sub(out))
    }

    /// Takes some entries out and tells what they said in the end; how many they were.
    fn take_out(&self, subject: &Subject<'_>, turn: &[(&[u8], &[u8])]) -> Option<Result<u64, ReadError>> {
        if !Arc::ptr_eq(&self.live.current(), subject.generation) {
            return None;
        }
        let mut taken = Entries::new(subject.source.shape());
        let mut last = Vec::new();
        let mut outcome = Ok(());
        for (key, value) in turn {
            match subject.source.take(key, value, &mut last) {
                Ok(Taken::Out) => taken.push(key, &last),
                Ok(Taken::Changed | Taken::Gone) => {}
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        self.keep_in_sums(subject, &taken);
        Some(outcome.map(|()| taken.len() as u64))
    }

    /// What entries said that were taken out stays in the sums of their series.
    fn keep_in_sums(&self, subject: &Subject<'_>, taken: &Entries) {
        let generation = subject.generation;
        let is_read = |planned: &&crate::scrape::plan::PlannedSource| {
            planned.config == subject.config && planned.map == subject.map
        };
        let Some(planned) = generation.sources.iter().find(is_read).filter(|_| taken.len() > 0) else {
            return;
        };
        // In memory and of the shape that was planned for: it can be read.
        let Ok(snapshot) = Snapshot::read_on(1, taken, planned.wanted(), &limits()) else { return };
        for plan in &generation.families {
            for contributor in &plan.contributors {
                let source = generation.sources.get(contributor.source);
                if source.is_some_and(|source| std::ptr::eq(source, planned)) {
                    bequeath(plan, contributor, &snapshot, &self.states, &self.settings);
                }
            }
        }
    }
}

/// Reads a map: how many entries there are, and those that have not changed for so long.
fn look(subject: &Subject<'_>, kept: &mut Kept, expire: Duration) -> Result<(u64, Entries), ReadError> {
    let (limits, now) = (limits(), Instant::now());
    let mut old = Entries::new(subject.source.shape());
    let ages = &mut kept.ages;
    ages.begin();
    let statistics = subject.source.read(&limits, &mut |batch| {
        for (key, value) in rows(batch.shape, batch.keys, batch.values) {
            if ages.age(key, value, now) >= expire && old.len() < MOST {
                old.push(key, value);
            }
        }
        if Instant::now() < limits.deadline { Ok(()) } else { Err(ReadError::Late) }
    })?;
    ages.finish();
    Ok((statistics.entries, old))
}
