//! The entrance of the room: sinks for records, the thread that exports, and its end.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustix::rand::GetRandomFlags;
use rustix::time::{ClockId, clock_gettime};

use super::counts::{ConfigTally, Counts, Dropped, Tally};
use super::deliver::Sender;
use super::environment::{Choice, Environment, Settings};
use super::queue::{Pending, Queue};
use super::record::{Decoder, Now};
use super::resolve::Resolver;
use crate::snapshot::{Loss, Losses, Records, Sink};
use crate::spec::SpanSpec;

/// What the thread does first, for instance to give up rights; without it nothing is exported.
pub type Prepare = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Spans of all configs, on their way to the collector.
pub struct Spans {
    environment: Environment,
    prepare: Prepare,
    shared: Arc<Shared>,
    /// Said once, when the first config asks for spans.
    told: Once,
    thread: Mutex<Option<Thread>>,
}

/// What the thread and those who feed it share.
#[derive(Debug)]
struct Shared {
    queue: Queue,
    tally: Tally,
}

/// The thread; what it sends last is that it is over.
#[derive(Debug)]
struct Thread {
    over: Receiver<()>,
}

/// Takes the records of one buffer.
#[derive(Debug)]
pub struct SpanSink {
    decoder: Decoder,
    service: Option<Arc<str>>,
    tally: Arc<ConfigTally>,
    shared: Arc<Shared>,
    /// Whether nothing can be exported.
    is_refused: bool,
}

impl Spans {
    /// What the environment wants. Nothing is said of it and no thread runs until there is a sink.
    #[must_use]
    pub fn new(environment: Environment, prepare: Prepare) -> Self {
        let queue = match &environment.choice {
            Choice::Export(settings) => Queue::new(settings.queue, settings.batch, settings.delay),
            Choice::Off(_) | Choice::Refused(_) => Queue::new(0, 1, Duration::ZERO),
        };
        let shared = Arc::new(Shared { queue, tally: Tally::default() });
        Self { environment, prepare, shared, told: Once::new(), thread: Mutex::default() }
    }

    /// For whoever exports none.
    #[must_use]
    pub fn off() -> Self {
        let environment = Environment { choice: Choice::Off(""), warnings: Vec::new() };
        Self::new(environment, Arc::new(|| Ok(())))
    }

    /// What the environment wants.
    #[must_use]
    pub fn choice(&self) -> &Choice {
        &self.environment.choice
    }

    /// Takes the records of a config's buffer; none when the environment wants no spans.
    #[must_use]
    pub fn sink(&self, config: &str, spec: &SpanSpec) -> Option<SpanSink> {
        self.told.call_once(|| tell(&self.environment));
        let is_refused = match self.choice() {
            Choice::Off(_) => return None,
            Choice::Refused(_) => true,
            Choice::Export(settings) => {
                self.begin(settings);
                false
            }
        };
        Some(SpanSink {
            decoder: Decoder::new(config, spec),
            service: spec.service.as_deref().map(Into::into),
            tally: self.shared.tally.config(config),
            shared: Arc::clone(&self.shared),
            is_refused,
        })
    }

    /// What became of all records so far; none as long as there was no sink.
    #[must_use]
    pub fn counts(&self) -> Option<Counts> {
        let counts = self.shared.queue.look(|queued| self.shared.tally.counts(queued));
        (!counts.configs.is_empty()).then_some(counts)
    }

    /// Sends what waits, for as long as that, and takes nothing more. A collector that hangs holds nobody:
    /// the thread is left behind then.
    pub fn stop(&self, patience: Duration) {
        let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        self.shared.queue.close(Instant::now() + patience);
        // The thread keeps to the same end, but for a connection that hangs.
        let over = thread.over.recv_timeout(patience + Duration::from_millis(100));
        if over == Err(RecvTimeoutError::Timeout) {
            let spans = self.shared.queue.look(|queued| queued);
            tracing::warn!(spans, "spans are lost: the collector did not take them in time");
        }
    }

    /// Starts the thread unless it runs, and waits until it is prepared.
    fn begin(&self, settings: &Settings) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_some() {
            return;
        }
        let (settings, shared, prepare) =
            (settings.clone(), Arc::clone(&self.shared), Arc::clone(&self.prepare));
        let (tell_over, over) = sync_channel(1);
        let (tell_prepared, prepared) = sync_channel(1);
        let work = move || {
            let outcome = prepare();
            let is_prepared = outcome.is_ok();
            let _ = tell_prepared.send(outcome);
            if is_prepared {
                export(&settings, &shared);
            }
            let _ = tell_over.send(());
        };
        let outcome = match std::thread::Builder::new().name("spans".into()).spawn(work) {
            Ok(_) => prepared.recv().unwrap_or_else(|_| Err("its thread ended".to_owned())),
            Err(error) => Err(format!("its thread cannot start: {error}")),
        };
        if let Err(error) = outcome {
            tracing::error!(error, "spans are not exported");
        }
        *thread = Some(Thread { over });
    }
}

/// Says what becomes of spans, and what could not be read.
fn tell(environment: &Environment) {
    for warning in &environment.warnings {
        tracing::warn!("{warning}");
    }
    match &environment.choice {
        Choice::Export(settings) => {
            tracing::info!(endpoint = %settings.endpoint, "spans are exported");
        }
        Choice::Off("") => {}
        Choice::Off(variable) => tracing::info!(variable, "spans are not exported, as the environment wants"),
        Choice::Refused(refusal) => tracing::error!("spans are not exported: {refusal}"),
    }
}

impl SpanSink {
    /// Takes one record; why it came to nothing, if it did.
    fn take(&mut self, record: &[u8], now: Now) -> Result<(), Dropped> {
        if !self.decoder.is_meant(record) {
            return Ok(());
        }
        let span = match self.is_refused {
            true => Err(Dropped::Refused),
            false => self.decoder.span(record, now, &mut random),
        };
        match span {
            Ok(span) => {
                let (service, tally) = (self.service.clone(), Arc::clone(&self.tally));
                self.shared.queue.push(Pending { span, service, tally });
                Ok(())
            }
            Err(reason) => {
                self.shared.queue.lose(&self.tally, reason);
                Err(reason)
            }
        }
    }
}

impl Sink for SpanSink {
    fn needs(&self) -> usize {
        self.decoder.needs()
    }

    /// Never waits for the export. The wall's time is that of the reading, once for all of these records.
    fn record(&mut self, records: &Records, _: Instant, losses: &mut Losses) {
        if records.is_empty() {
            return;
        }
        let now = now();
        for (index, record) in records.iter().enumerate() {
            if let Err(Dropped::TooShort | Dropped::Decode | Dropped::TraceId) = self.take(record, now) {
                losses.lose(index, Loss::Decode);
            }
        }
    }
}

/// What the thread does until the queue is closed and empty.
fn export(settings: &Settings, shared: &Shared) {
    let mut sender = Sender::new(settings, &shared.queue, &shared.tally, Resolver::default());
    let mut log = Log::default();
    while let Some(batch) = shared.queue.next() {
        match sender.send(&batch) {
            Ok(partial) => {
                let rejected = partial.rejected.min(batch.len() as u64);
                shared.queue.settle(|| shared.tally.delivered(batch.len() as u64 - rejected, rejected));
                log.delivered(rejected, &partial.message);
            }
            Err(failed) => {
                let reason = if failed.is_end { Dropped::Shutdown } else { Dropped::Export };
                shared.queue.settle(|| batch.iter().for_each(|pending| pending.tally.drop_one(reason)));
                log.failed(batch.len(), &failed.why);
            }
        }
    }
    let left = shared.queue.give_up();
    if left > 0 {
        tracing::warn!(spans = left, "spans are lost: there was no time left to send them");
    }
}

/// Says what changes, and not every batch.
#[derive(Debug, Default)]
struct Log {
    is_failing: bool,
    /// The last word of the collector on what it did not take.
    complaint: String,
}

impl Log {
    fn delivered(&mut self, rejected: u64, message: &str) {
        if std::mem::take(&mut self.is_failing) {
            tracing::info!("spans are exported again");
        }
        if self.complaint == message {
            return;
        }
        message.clone_into(&mut self.complaint);
        if !message.is_empty() || rejected > 0 {
            tracing::warn!(rejected, message, "the collector did not keep all spans");
        }
    }

    fn failed(&mut self, spans: usize, why: &str) {
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(spans, why, "spans are lost: the collector did not take them");
        }
    }
}

/// The same moment on both clocks.
fn now() -> Now {
    let monotonic = clock_gettime(ClockId::Monotonic);
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = u64::try_from(monotonic.tv_sec).unwrap_or_default();
    let part = u64::try_from(monotonic.tv_nsec).unwrap_or_default();
    Now {
        wall: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX),
        monotonic: seconds.saturating_mul(1_000_000_000).saturating_add(part),
    }
}

/// Fills in bytes that nobody can guess. Where the kernel gives none they stay what they were.
pub(super) fn random(bytes: &mut [u8]) {
    let _ = rustix::rand::getrandom(bytes, GetRandomFlags::empty());
}

#[cfg(test)]
mod tests;
