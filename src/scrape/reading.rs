//! Phase one: every source read once, and what must be grouped grouped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::Settings;
use super::cores::cores;
use super::fold::{Folded, fold};
use super::generation::Generation;
use super::losses::{self, Reason};
use super::plan::PlannedSource;
use super::state::{States, lock};
use crate::snapshot::{Limits, NamedStream, ReadError, ReadStatistics, Snapshot, StreamCounts, View};

/// Below this it does not pay to start a second thread.
const WORTH_A_THREAD: Duration = Duration::from_millis(2);

/// What all sources of a generation held at one time.
pub(super) struct Reading {
    pub(super) generation: Arc<Generation>,
    /// In the generation's order.
    pub(super) sources: Vec<SourceRead>,
    /// In the generation's order.
    pub(super) families: Vec<Folded>,
    /// Of every stream.
    pub(super) streams: Vec<StreamRead>,
    /// What programs say that they lost.
    pub(super) losses: BTreeMap<Reason, u64>,
    /// Time spent for each config.
    pub(super) spent: BTreeMap<String, Duration>,
}

/// What is known of a stream.
pub(super) struct StreamRead {
    pub(super) config: String,
    pub(super) map: String,
    /// Bytes that waited when the reading began.
    pub(super) unread: Option<u64>,
    pub(super) counts: StreamCounts,
}

/// How the read of one source went.
pub(super) struct SourceRead {
    pub(super) outcome: Result<ReadStatistics, ReadError>,
    /// There when a family will be rendered from it row by row.
    pub(super) snapshot: Option<Snapshot>,
    took: Duration,
}

impl Reading {
    /// A reading that never took place, because the time was over before it could begin.
    pub(super) fn late(generation: Arc<Generation>) -> Self {
        let sources = generation.sources.iter().map(|_| SourceRead::failed(ReadError::Late)).collect();
        let families = generation.families.iter().map(|_| Folded::LeftOut).collect();
        let (streams, losses, spent) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { generation, sources, families, streams, losses, spent }
    }
}

impl SourceRead {
    fn failed(error: ReadError) -> Self {
        Self { outcome: Err(error), snapshot: None, took: Duration::ZERO }
    }

    fn of(planned: &PlannedSource, limits: &Limits, threads: usize) -> Self {
        let began = Instant::now();
        let read = Snapshot::read_on(threads, planned.source.as_ref(), planned.wanted(), limits);
        let took = began.elapsed();
        // By what one thread needs for it, it is decided how it is read the next time.
        planned.remember_read(took.saturating_mul(u32::try_from(threads).unwrap_or(1)));
        match read {
            Ok(snapshot) => Self { outcome: Ok(snapshot.statistics()), snapshot: Some(snapshot), took },
            Err(error) => Self { took, ..Self::failed(error) },
        }
    }
}

/// Reads a generation.
pub(super) fn read(
    generation: Arc<Generation>,
    settings: &Settings,
    states: &States,
    deadline: Instant,
) -> Reading {
    states.retain(&generation);
    let limits = Limits { deadline, max_bytes: settings.max_snapshot_bytes };
    let unread = drain(&generation, deadline);
    let planned: Vec<&PlannedSource> = generation.sources.iter().collect();
    let failed = run_programs(&generation);
    let mut sources = read_sources(&planned, &limits);
    for (planned, read) in planned.iter().zip(&mut sources) {
        if let Some(error) = failed.get(&planned.config) {
            *read = SourceRead::failed(error.clone());
        }
    }
    let losses = losses::read(&generation, &limits, states);
    let streams = streams(&generation, unread);
    let mut spent: BTreeMap<String, Duration> = BTreeMap::new();
    for (planned, read) in generation.sources.iter().zip(&sources) {
        *spent.entry(planned.config.clone()).or_default() += read.took;
        report(planned, &read.outcome, states);
    }
    let mut families = Vec::with_capacity(generation.families.len());
    for family in &generation.families {
        families.push(fold(family, &sources, states, settings, &mut spent));
    }
    release(&generation, &families, &mut sources);
    Reading { generation, sources, families, streams, losses, spent }
}

/// Brings every event that can be had to where it counts; how many bytes had waited in each stream. One that is late
/// is noticed by the sources that it feeds.
fn drain(generation: &Generation, deadline: Instant) -> Vec<Option<u64>> {
    let mut unread = Vec::new();
    for named in generation.views().iter().flat_map(|view| &view.streams) {
        unread.push(named.stream.unread());
        let _ = named.stream.drain(deadline);
    }
    unread
}

/// Runs the programs that wait to be asked; the configs whose maps they left as they were.
fn run_programs(generation: &Generation) -> BTreeMap<String, ReadError> {
    let failed = |view: &View| Some((view.config.clone(), view.programs.run().err()?));
    generation.views().iter().filter_map(failed).collect()
}

fn streams(generation: &Generation, unread: Vec<Option<u64>>) -> Vec<StreamRead> {
    let named =
        generation.views().iter().flat_map(|view| view.streams.iter().map(move |named| (view, named)));
    let read = |((view, named), unread): ((&View, &NamedStream), Option<u64>)| StreamRead {
        config: view.config.clone(),
        map: named.map.clone(),
        unread,
        counts: named.stream.counts(),
    };
    named.zip(unread).map(read).collect()
}

/// Reads all sources, quick ones first, so that a slow one can make nobody late but itself. Each is read by one
/// thread; after them large ones that threads can share are read one by one, each on all cores.
pub(super) fn read_sources(planned: &[&PlannedSource], limits: &Limits) -> Vec<SourceRead> {
    let is_shared = |source: &PlannedSource| {
        source.last_read() > WORTH_A_THREAD && source.source.is_divisible() && cores() > 1
    };
    let (mut shared, mut alone): (Vec<_>, Vec<_>) =
        planned.iter().copied().enumerate().partition(|(_, source)| is_shared(source));
    for order in [&mut alone, &mut shared] {
        order.sort_unstable_by_key(|(_, source)| {
            (source.last_read(), source.source.max_entries().unwrap_or(0))
        });
    }
    let mut done = read_side_by_side(&alone, limits);
    done.extend(shared.iter().map(|(index, source)| (*index, SourceRead::of(source, limits, cores()))));
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, read)| read).collect()
}

fn read_side_by_side(order: &[(usize, &PlannedSource)], limits: &Limits) -> Vec<(usize, SourceRead)> {
    let known: Duration = order.iter().map(|(_, source)| source.last_read()).sum();
    let new = order.iter().any(|(_, source)| source.last_read().is_zero());
    let is_worth_it = order.len() > 1 && (new || known > WORTH_A_THREAD);
    let threads = if is_worth_it { cores().min(order.len()) } else { 1 };
    let next = AtomicUsize::new(0);
    let done = std::sync::Mutex::new(Vec::with_capacity(order.len()));
    let work = || {
        while let Some((index, source)) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let read = SourceRead::of(source, limits, 1);
            lock(&done).push((*index, read));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // Without another thread this one does all of it.
            let _ = std::thread::Builder::new().name("read".to_owned()).spawn_scoped(scope, work);
        }
        work();
    });
    done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Counts a failure, and tells when a source begins to fail and when it recovers.
fn report(planned: &PlannedSource, outcome: &Result<ReadStatistics, ReadError>, states: &States) {
    let (config, map) = (&planned.config, &planned.map);
    let mut states = states.sources();
    let name = (config.clone(), map.clone());
    match outcome {
        Err(error) => {
            *states.errors.entry((config.clone(), map.clone(), error.reason())).or_default() += 1;
            if states.failing.insert(name) {
                tracing::warn!(%config, %map, %error, "a map cannot be read; its families are left out");
            }
        }
        Ok(_) if states.failing.remove(&name) => {
            tracing::info!(%config, %map, "the map can be read again");
        }
        Ok(_) => {}
    }
}

/// Lets go of every snapshot that no family will be rendered from.
fn release(generation: &Generation, families: &[Folded], sources: &mut [SourceRead]) {
    let mut needed = vec![false; sources.len()];
    for (plan, folded) in generation.families.iter().zip(families) {
        if matches!(folded, Folded::Direct) {
            for contributor in &plan.contributors {
                if let Some(needed) = needed.get_mut(contributor.source) {
                    *needed = true;
                }
            }
        }
    }
    for (source, needed) in sources.iter_mut().zip(needed) {
        if !needed {
            source.snapshot = None;
        }
    }
}
