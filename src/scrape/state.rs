//! What outlives a generation, by the identity of its metric.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::generation::Generation;
use super::losses::LossStates;
use super::memo::Memos;
use super::rows::RowPlan;
use crate::decode::DecodeError;
use crate::series::{Admission, Ledger, LedgerShape};

/// Names a metric across generations.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Identity {
    pub(super) config: String,
    pub(super) family: String,
    /// Tells metrics of one config apart that share a family.
    pub(super) nth: usize,
}

/// The states of all metrics and sources of the live generation.
#[derive(Debug, Default)]
pub(super) struct States {
    metrics: Mutex<HashMap<Identity, Arc<MetricState>>>,
    sources: Mutex<SourceStates>,
    losses: Mutex<LossStates>,
}

/// What is remembered of one metric.
#[derive(Debug, Default)]
pub(super) struct MetricState {
    memory: Mutex<Memory>,
    tally: Mutex<Tally>,
    /// Whether it was told that it has many series.
    pub(super) had_many: AtomicBool,
}

/// What grouping needs to remember.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// There once its rows were grouped: from then on they always are, so that the series
    /// made of several keys, or of a base and a key, cannot fall back to what one of them says.
    pub(super) ledger: Option<Ledger>,
    /// How often its source had forgotten everything on purpose.
    epoch: u64,
    /// Whether a key was seen that forbids the direct path.
    pub(super) grouped: bool,
    /// Which label sets are published of a metric that may not have more.
    pub(super) admission: Option<Admission>,
    /// What decoded the keys that the ledger knows, when it gives the same for the same key always.
    told: Option<RowPlan>,
    /// What dear decoders said.
    pub(super) memos: Memos,
    /// How many label sets there were of a gauge, and bytes of them.
    pub(super) groups: (usize, usize),
}

/// What is counted of a metric's rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) errors: BTreeMap<&'static str, u64>,
    pub(super) skipped: u64,
    /// By the limit that changed them.
    pub(super) limited: BTreeMap<&'static str, u64>,
}

/// What is counted of sources, by config and map.
#[derive(Debug, Default)]
pub(super) struct SourceStates {
    pub(super) failing: BTreeSet<(String, String)>,
    pub(super) errors: BTreeMap<(String, String, &'static str), u64>,
    /// Entries of maps that no scrape reads, as last counted.
    pub(super) entries: BTreeMap<(String, String), u64>,
    /// Entries that were taken out.
    pub(super) expired: BTreeMap<(String, String), u64>,
    pub(super) nearly_full: BTreeSet<(String, String)>,
}

impl States {
    /// The state of a metric, made when it is not there.
    pub(super) fn metric(&self, identity: &Identity) -> Arc<MetricState> {
        let mut metrics = lock(&self.metrics);
        if let Some(state) = metrics.get(identity) {
            return Arc::clone(state);
        }
        Arc::clone(metrics.entry(identity.clone()).or_default())
    }

    /// What is counted of sources.
    pub(super) fn sources(&self) -> MutexGuard<'_, SourceStates> {
        lock(&self.sources)
    }

    /// What is remembered of losses.
    pub(super) fn losses(&self) -> MutexGuard<'_, LossStates> {
        lock(&self.losses)
    }

    /// Gives the states of metrics to those that go on as them, each at once under its new name.
    pub(super) fn rename(&self, names: &[(&Identity, &Identity)]) {
        let mut metrics = lock(&self.metrics);
        let moved: Vec<_> =
            names.iter().filter_map(|(old, new)| Some((*new, metrics.remove(old)?))).collect();
        for (new, state) in moved {
            metrics.insert(new.clone(), state);
        }
    }

    /// Forgets what no metric and no source of the generation needs.
    pub(super) fn retain(&self, generation: &Generation) {
        let contributors = generation.families.iter().flat_map(|family| &family.contributors);
        let identities: HashSet<&Identity> = contributors.map(|contributor| &contributor.identity).collect();
        lock(&self.metrics).retain(|identity, _| identities.contains(identity));
        let sources = &generation.sources;
        let maps: HashSet<_> =
            sources.iter().map(|source| (source.config.as_str(), source.map.as_str())).collect();
        let mut states = lock(&self.sources);
        states.failing.retain(|(config, map)| maps.contains(&(config.as_str(), map.as_str())));
        states.errors.retain(|(config, map, _), _| maps.contains(&(config.as_str(), map.as_str())));
        let views = generation.views().iter();
        let maps: HashSet<_> = views
            .flat_map(|view| view.sources.iter().map(|named| (view.config.as_str(), named.map.as_str())))
            .collect();
        states.entries.retain(|(config, map), _| maps.contains(&(config.as_str(), map.as_str())));
        states.expired.retain(|(config, map), _| maps.contains(&(config.as_str(), map.as_str())));
        states.nearly_full.retain(|(config, map)| maps.contains(&(config.as_str(), map.as_str())));
    }
}

impl MetricState {
    /// What grouping needs to remember.
    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }

    /// Adds what one pass over the rows counted.
    pub(super) fn count(&self, pass: &Tally) {
        if pass.skipped == 0 && pass.errors.is_empty() && pass.limited.is_empty() {
            return;
        }
        let mut tally = lock(&self.tally);
        tally.skipped += pass.skipped;
        for (reason, count) in &pass.errors {
            *tally.errors.entry(reason).or_default() += count;
        }
        for (limit, count) in &pass.limited {
            *tally.limited.entry(limit).or_default() += count;
        }
    }

    /// What was counted so far.
    pub(super) fn tally(&self) -> Tally {
        lock(&self.tally).clone()
    }
}

impl Tally {
    /// Counts a row that could not be decoded.
    pub(super) fn error(&mut self, error: DecodeError) {
        *self.errors.entry(error.reason()).or_default() += 1;
    }

    /// Counts a row that is not published as it is, because of a limit.
    pub(super) fn limited(&mut self, limit: &'static str) {
        *self.limited.entry(limit).or_default() += 1;
    }
}

impl Memory {
    /// When its source has forgotten everything on purpose, what it said before does not go on.
    pub(super) fn follow(&mut self, epoch: u64) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.ledger = None;
        }
    }

    /// Whether there is a ledger that still means the same; one that does not is dropped.
    pub(super) fn remembers(&mut self, shape: &LedgerShape) -> bool {
        self.ledger.take_if(|ledger| ledger.shape() != shape);
        self.ledger.is_some()
    }

    /// Whether keys that the ledger knows count where they counted in the last pass; rows that
    /// are decoded otherwise do so from the next one on.
    pub(super) fn is_told_by(&mut self, rows: &RowPlan) -> bool {
        if self.told.as_ref().is_some_and(|told| told.decodes_like(rows)) {
            return true;
        }
        self.told = (!rows.is_volatile()).then(|| rows.clone());
        false
    }

    /// The ledger, a new one when what it would remember means something else now.
    pub(super) fn ledger(&mut self, shape: &LedgerShape) -> &mut Ledger {
        self.ledger.take_if(|ledger| ledger.shape() != shape);
        self.ledger.get_or_insert_with(|| Ledger::new(shape.clone()))
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
