//! Buffers that programs write events to: ring buffers, and arrays of performance events.
//!
//! Each is behind one lock, so that it has one reader at a time: the listening thread, or whoever scrapes. Sinks see
//! copies, batch by batch. Performance events are read by libbpf, and what it calls for each of them only copies it.

use std::cell::RefCell;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::time::Instant;

use libbpf_rs::{Map, MapCore, MapHandle, PerfBuffer, PerfBufferBuilder};

use super::listen::Place;
use super::raw;
use super::ring::{Positions, Ring};
use crate::snapshot::{Loss, Losses, ReadError, Records, Sink, Stream, StreamCounts};
use crate::spec::BufferSpec;

/// Events in one batch, if they are small enough.
const BATCH: usize = 4096;

/// Bytes of one batch, and what is kept for the next.
const BATCH_BYTES: usize = 256 << 10;

/// Smaller buffers are read without letting events gather in them.
const SMALL: u64 = 128 << 10;

/// A buffer, and who takes its events.
pub(super) struct Buffer {
    /// So that the listening thread can find it.
    own: Weak<Self>,
    state: Mutex<State>,
    counts: Arc<Counts>,
    bytes: u64,
}

struct State {
    /// There once somebody takes events.
    place: Option<Place>,
    sinks: Vec<Box<dyn Sink>>,
    losses: Losses,
    intake: Intake,
    reader: Reader,
}

/// Numbers that go on when the buffer is replaced by another one of its name.
#[derive(Debug, Default)]
pub(super) struct Counts {
    events: AtomicU64,
    lost: [AtomicU64; Loss::ALL.len()],
}

impl Counts {
    fn lose(&self, loss: Loss, events: u64) {
        for (known, count) in Loss::ALL.iter().zip(&self.lost) {
            if *known == loss {
                count.fetch_add(events, Ordering::Relaxed);
            }
        }
    }
}

/// Copies of the beginnings of events.
#[derive(Debug, Default)]
struct Intake {
    records: Records,
    /// As much of each as somebody looks at.
    needs: usize,
}

thread_local! {
    /// Where performance events go that libbpf tells this thread of. It calls from inside of a read only.
    static INTAKE: RefCell<Intake> = const { RefCell::new(Intake { records: Records::new(), needs: 0 }) };
}

/// What libbpf calls for each event: nothing in it can panic, which would end the process.
fn take_in(event: &[u8]) {
    let _ = INTAKE.try_with(|intake| {
        if let Ok(mut intake) = intake.try_borrow_mut() {
            let needs = intake.needs;
            intake.records.push(event.get(..needs).unwrap_or(event));
        }
    });
}

/// The reading end. It goes before the map, whose descriptor it uses until its end.
struct Reader {
    kind: Kind,
    map: MapHandle,
}

enum Kind {
    Ring(Ring),
    Perf(PerfBuffer<'static>),
}

/// How much there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing, or so little that more may gather.
    Easy,
    /// Enough to look again at once.
    Pressing,
}

impl Buffer {
    /// Opens a buffer of a loaded object. `counts` go on from an older one.
    ///
    /// # Errors
    /// What the kernel or libbpf answered.
    pub(super) fn open(map: &Map<'_>, spec: &BufferSpec, counts: Arc<Counts>) -> Result<Arc<Self>, String> {
        let text = |error: libbpf_rs::Error| format!("{error:#}");
        let map = MapHandle::try_from(map).map_err(text)?;
        let (kind, bytes) = match spec.pages {
            None => {
                let ring = Ring::open(map.as_fd(), map.max_entries()).map_err(|error| error.to_string())?;
                let size = ring.size();
                (Kind::Ring(ring), size)
            }
            Some(pages) => {
                let lost = Arc::clone(&counts);
                let buffer = PerfBufferBuilder::new(&map)
                    .pages(pages)
                    .sample_cb(|_, event: &[u8]| take_in(event))
                    .lost_cb(move |_, events| lost.lose(Loss::Full, events));
                (Kind::Perf(buffer.build().map_err(text)?), pages as u64 * 4096)
            }
        };
        let reader = Reader { kind, map };
        Ok(Arc::new_cyclic(|own| Self {
            own: own.clone(),
            state: Mutex::new(State {
                place: None,
                sinks: Vec::new(),
                losses: Losses::default(),
                intake: Intake::default(),
                reader,
            }),
            counts,
            bytes,
        }))
    }

    /// The numbers of this buffer, for one that takes its place.
    pub(super) fn shared_counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Counts events that nobody will read.
    pub(super) fn lose(&self, loss: Loss, events: u64) {
        self.counts.lose(loss, events);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, if nobody else is at it: waiting for each other would cost more than reading.
    fn state_if_free(&self) -> Option<MutexGuard<'_, State>> {
        match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Takes a batch of what is there; `is_ready` says whether the kernel told of it.
    pub(super) fn take_some(&self, is_ready: bool) -> Progress {
        // Whoever scrapes is reading it, and has this thread look again afterwards.
        let Some(mut state) = self.state_if_free().filter(|state| !state.sinks.is_empty()) else {
            return Progress::Easy;
        };
        let taken = state.batch(&self.counts, None);
        // The kernel wakes nobody for what came while an older event was being read here; when it told of
        // that one, it looks again by itself.
        if let (false, Some(place)) = (is_ready, &state.place) {
            place.look_again();
        }
        if taken > 0 && (self.bytes < SMALL || taken >= state.intake.batch() / 8) {
            Progress::Pressing
        } else {
            Progress::Easy
        }
    }
}

impl Intake {
    /// How many events are taken at a time.
    fn batch(&self) -> usize {
        (BATCH_BYTES / self.needs.max(1)).clamp(16, BATCH)
    }
}

impl State {
    /// Takes a batch of a ring buffer, or what is there of one CPU's, or of all; how many events that were.
    fn batch(&mut self, counts: &Counts, cpu: Option<usize>) -> usize {
        let most = self.intake.batch();
        match &mut self.reader.kind {
            Kind::Ring(ring) => ring.read(most, self.intake.needs, &mut self.intake.records),
            Kind::Perf(buffer) => {
                INTAKE.with_borrow_mut(|intake| std::mem::swap(intake, &mut self.intake));
                let cpus = cpu.map_or(0..buffer.buffer_cnt(), |cpu| cpu..cpu + 1);
                // What cannot be read of one CPU's buffer is no reason to leave the others.
                cpus.for_each(|cpu| drop(buffer.consume_buffer(cpu)));
                INTAKE.with_borrow_mut(|intake| std::mem::swap(intake, &mut self.intake));
            }
        }
        let Self { sinks, losses, intake: Intake { records, .. }, .. } = self;
        let now = Instant::now();
        for sink in sinks.iter_mut() {
            sink.record(records, now, losses);
        }
        let taken = records.len();
        counts.events.fetch_add(taken as u64, Ordering::Relaxed);
        losses.settle(|loss, events| counts.lose(loss, events));
        records.clear(BATCH_BYTES);
        taken
    }

    fn positions(&self) -> Option<Positions> {
        match &self.reader.kind {
            Kind::Ring(ring) => Some(ring.positions()),
            Kind::Perf(_) => None,
        }
    }
}

impl Stream for Buffer {
    fn connect(&self, sinks: Vec<Box<dyn Sink>>) -> Result<(), String> {
        let mut state = self.state();
        state.intake.needs = sinks.iter().map(|sink| sink.needs()).max().unwrap_or(0);
        state.sinks = sinks;
        if state.place.is_none() && !state.sinks.is_empty() {
            let ready = match &state.reader.kind {
                Kind::Ring(_) => state.reader.map.as_fd().try_clone_to_owned(),
                Kind::Perf(buffer) => raw::readiness(buffer.epoll_fd()),
            };
            let place = ready.and_then(|ready| Place::take(self.own.clone(), ready));
            state.place = Some(place.map_err(|error| error.to_string())?);
        }
        Ok(())
    }

    fn drain(&self, deadline: Instant) -> Result<(), ReadError> {
        let in_time = || if Instant::now() < deadline { Ok(()) } else { Err(ReadError::Late) };
        let target = {
            let state = self.state();
            if state.sinks.is_empty() {
                return Ok(());
            }
            state.positions().map(|positions| positions.written)
        };
        let Some(target) = target else {
            let cpus = match &self.state().reader.kind {
                Kind::Perf(buffer) => buffer.buffer_cnt(),
                Kind::Ring(_) => 0,
            };
            // Each by itself, so that the time is looked at in between.
            for cpu in 0..cpus {
                in_time()?;
                self.state().batch(&self.counts, Some(cpu));
            }
            return Ok(());
        };
        loop {
            in_time()?;
            let mut state = self.state();
            let before = state.positions().map_or(target, |positions| positions.read);
            state.batch(&self.counts, None);
            let after = state.positions().map_or(target, |positions| positions.read);
            // What is still being written cannot be read, nor can what comes after it.
            if after >= target || after == before {
                // As in `take_some`.
                if let Some(place) = &state.place {
                    place.look_again();
                }
                return Ok(());
            }
        }
    }

    fn counts(&self) -> StreamCounts {
        let lost = Loss::ALL.iter().zip(&self.counts.lost);
        StreamCounts {
            events: self.counts.events.load(Ordering::Relaxed),
            lost: lost.map(|(loss, count)| (*loss, count.load(Ordering::Relaxed))).collect(),
        }
    }

    fn unread(&self) -> Option<u64> {
        let positions = self.state().positions()?;
        Some(positions.written.saturating_sub(positions.read))
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Buffer")
            .field("bytes", &self.bytes)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
