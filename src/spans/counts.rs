//! What became of every record and of every request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::http::HttpError;

/// Why there is no span of a record at the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// The record ends before the labels do.
    TooShort,
    /// A decoder could not take its field, or a part of the span is not what it has to be.
    Decode,
    /// A decoder left it out.
    Skipped,
    /// Its trace is all zero, or no identifier.
    TraceId,
    /// The queue was full: the collector takes less than comes.
    QueueFull,
    /// The collector could not be reached, or refused it, until the time for trying was over.
    Export,
    /// The exporter ended before it was sent.
    Shutdown,
    /// The environment asks for an export that is not possible.
    Refused,
}

impl Dropped {
    const ALL: [Self; 8] = [
        Self::TooShort,
        Self::Decode,
        Self::Skipped,
        Self::TraceId,
        Self::QueueFull,
        Self::Export,
        Self::Shutdown,
        Self::Refused,
    ];

    /// A stable label value.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::Decode => "decode",
            Self::Skipped => "skipped",
            Self::TraceId => "trace_id",
            Self::QueueFull => "queue_full",
            Self::Export => "export",
            Self::Shutdown => "shutdown",
            Self::Refused => "refused",
        }
    }
}

/// Why a request failed, as the metric says it.
const FAILURES: [&str; 6] = ["resolve", "connect", "timeout", "connection", "response", "status"];

/// Counts of one config.
#[derive(Debug, Default)]
pub(super) struct ConfigTally {
    received: AtomicU64,
    dropped: [AtomicU64; Dropped::ALL.len()],
}

impl ConfigTally {
    pub(super) fn receive(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn drop_one(&self, reason: Dropped) {
        for (count, of) in self.dropped.iter().zip(Dropped::ALL) {
            count.fetch_add(u64::from(of == reason), Ordering::Relaxed);
        }
    }
}

/// Counts of all configs, and of the export.
#[derive(Debug, Default)]
pub(super) struct Tally {
    configs: Mutex<BTreeMap<String, Arc<ConfigTally>>>,
    exported: AtomicU64,
    rejected: AtomicU64,
    requests: AtomicU64,
    failures: [AtomicU64; FAILURES.len()],
}

impl Tally {
    /// The counts of a config, which outlive its reloads.
    pub(super) fn config(&self, name: &str) -> Arc<ConfigTally> {
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(configs.entry(name.to_owned()).or_default())
    }

    /// A batch arrived, of which the collector kept all but some.
    pub(super) fn delivered(&self, kept: u64, rejected: u64) {
        self.exported.fetch_add(kept, Ordering::Relaxed);
        self.rejected.fetch_add(rejected, Ordering::Relaxed);
    }

    pub(super) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// A request failed before an answer came, or with one that is not success.
    pub(super) fn failed(&self, error: Option<&HttpError>) {
        let reason = error.map_or("status", HttpError::reason);
        for (count, of) in self.failures.iter().zip(FAILURES) {
            count.fetch_add(u64::from(of == reason), Ordering::Relaxed);
        }
    }

    pub(super) fn counts(&self, queued: usize) -> Counts {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        let config = |(name, tally): (&String, &Arc<ConfigTally>)| ConfigCounts {
            config: name.clone(),
            received: load(&tally.received),
            dropped: Dropped::ALL
                .iter()
                .map(|reason| reason.word())
                .zip(tally.dropped.iter().map(load))
                .collect(),
        };
        Counts {
            configs: configs.iter().map(config).collect(),
            exported: load(&self.exported),
            rejected: load(&self.rejected),
            requests: load(&self.requests),
            failures: FAILURES.into_iter().zip(self.failures.iter().map(load)).collect(),
            queued: queued as u64,
        }
    }
}

/// What became of all records so far: what was received is exported, rejected, dropped or queued.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By config.
    pub configs: Vec<ConfigCounts>,
    /// Spans that the collector has taken.
    pub exported: u64,
    /// Spans that it took in and threw away, as it said.
    pub rejected: u64,
    /// Requests that were sent.
    pub requests: u64,
    /// Requests that failed, by reason; most of them are sent again.
    pub failures: Vec<(&'static str, u64)>,
    /// Spans that wait, or are on their way.
    pub queued: u64,
}

/// What became of the records of one config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigCounts {
    /// The config.
    pub config: String,
    /// Records that its buffers brought.
    pub received: u64,
    /// Those of them that came to nothing, by reason.
    pub dropped: Vec<(&'static str, u64)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_word_and_count() {
        let tally = Tally::default();
        let config = tally.config("exec");
        for (times, reason) in Dropped::ALL.into_iter().enumerate() {
            for _ in 0..=times {
                config.drop_one(reason);
            }
        }
        let counts = tally.counts(3);
        let dropped: Vec<u64> = counts.configs[0].dropped.iter().map(|(_, count)| *count).collect();
        assert_eq!(dropped, [1, 2, 3, 4, 5, 6, 7, 8]);
        let mut words: Vec<_> = Dropped::ALL.iter().map(|reason| reason.word()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Dropped::ALL.len());
        assert_eq!(counts.queued, 3);
    }

    #[test]
    fn a_config_keeps_its_counts() {
        let tally = Tally::default();
        tally.config("exec").receive();
        tally.config("exec").receive();
        tally.config("other").receive();
        let counts = tally.counts(0);
        let received: Vec<_> =
            counts.configs.iter().map(|config| (config.config.as_str(), config.received)).collect();
        assert_eq!(received, [("exec", 2), ("other", 1)]);
    }

    #[test]
    fn an_answer_that_is_no_success_is_a_failure_by_status() {
        let tally = Tally::default();
        tally.failed(None);
        tally.failed(Some(&HttpError::Timeout));
        let failures = tally.counts(0).failures;
        let counted: Vec<_> = failures.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("timeout", 1), ("status", 1)]);
    }
}
