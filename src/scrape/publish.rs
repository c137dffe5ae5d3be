//! One generation takes the place of another, and no count is lost or told twice.
//!
//! Most maps go on from one generation to the next, and with them their counters. A map that
//! cannot is new and empty: what its metrics said becomes the base of their series.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fold::{remember, slot_scale};
use super::generation::Generation;
use super::limit::Limit;
use super::losses;
use super::plan::PlannedSource;
use super::reading::{SourceRead, read_sources};
use super::state::{MetricState, States, lock};
use super::succession::{Part, Successor, successors};
use super::{Scraper, Settings};
use crate::problem::{Place, Problem};
use crate::series::Ledger;
use crate::snapshot::Limits;

/// A map that begins anew with a generation although its metrics go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// The config's name.
    pub config: String,
    /// The map's name in the old generation.
    pub map: String,
}

/// What is to be known of two generations that their plans do not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handover {
    /// Maps that begin anew.
    pub replaced: Vec<Replaced>,
    /// Configs that go on under another name: the old one, and the new one.
    pub renamed: Vec<(String, String)>,
}

impl Handover {
    /// The name under which a config of the old generation goes on.
    pub(super) fn name_of<'n>(&'n self, config: &'n str) -> &'n str {
        let renamed = self.renamed.iter().find(|(old, _)| old == config);
        renamed.map_or(config, |(_, new)| new)
    }
}

impl Scraper {
    /// Makes a generation live between two readings: no scrape reads while it happens, so that
    /// each sees one generation whole and no count twice. Gives back the old generation, which
    /// scrapes in flight may still hold, and what could not be kept.
    ///
    /// The programs of replaced maps must not count any more, and the maps must still be readable: they
    /// are read a last time. That may take as long as from now to `deadline`; it begins when the
    /// reading under way has come to its end, which its own deadline bounds. The generation is made live in any case.
    pub fn publish(
        &self,
        generation: Generation,
        handover: &Handover,
        deadline: Instant,
    ) -> (Arc<Generation>, Vec<Problem>) {
        let patience = deadline.saturating_duration_since(Instant::now());
        self.turnstile.alone(|| {
            let old = self.live.current();
            let problems = carry(&old, &generation, handover, &self.states, &self.settings, patience);
            self.states.retain(&generation);
            (self.live.swap(generation), problems)
        })
    }
}

/// Hands everything that is remembered of one generation to the next.
fn carry(
    old: &Generation,
    new: &Generation,
    handover: &Handover,
    states: &States,
    settings: &Settings,
    patience: Duration,
) -> Vec<Problem> {
    let replaced: HashSet<(&str, &str)> =
        handover.replaced.iter().map(|one| (one.config.as_str(), one.map.as_str())).collect();
    let is_replaced = |part: &Part<'_>| replaced.contains(&(part.contributor.config.as_str(), part.map));
    let successions: Vec<Succession<'_>> = successors(old, new, handover, is_replaced)
        .into_iter()
        .map(|(part, successor)| Succession {
            state: states.metric(&part.contributor.identity),
            turn: Turn::of(&part, successor, is_replaced(&part)),
            part,
        })
        .collect();

    let problems = read_last(old, &successions, settings, patience);
    let limits = Limits { deadline: Instant::now() + patience, max_bytes: settings.max_snapshot_bytes };
    losses::carry(old, new, handover, states, &limits);
    let names: Vec<_> = successions
        .iter()
        .filter_map(|one| Some((&one.part.contributor.identity, &one.turn.itself()?.contributor.identity)))
        .filter(|(old, new)| old != new)
        .collect();
    states.rename(&names);
    // Heirs come last: what they inherit is added to what they have by then.
    for succession in &successions {
        succession.go_on();
    }
    for succession in &successions {
        succession.bequeath(states);
    }
    keep_estimates(old, new, handover);
    problems
}

/// What becomes of a metric, with what is remembered of it.
struct Succession<'g> {
    part: Part<'g>,
    turn: Turn<'g>,
    state: Arc<MetricState>,
}

/// What becomes of what is remembered of a metric.
enum Turn<'g> {
    /// Its map goes on, or nothing of it accumulates.
    Stays(Part<'g>),
    /// Its map is another one, which is empty.
    Founds(Part<'g>),
    /// It is gone: what it said becomes part of what another one says.
    Bequeaths(Part<'g>),
    /// It is forgotten.
    Ends,
}

impl<'g> Turn<'g> {
    fn of(part: &Part<'_>, successor: Successor<'g>, is_replaced: bool) -> Self {
        let keeps = |next: &Part<'_>| {
            let series = &next.contributor.ledger;
            part.accumulates() && next.accumulates() && series.has_series_of(&part.contributor.ledger)
        };
        match successor {
            Successor::Itself(next) if is_replaced && keeps(&next) => Self::Founds(next),
            Successor::Itself(next) => Self::Stays(next),
            Successor::Heir(next) if keeps(&next) => Self::Bequeaths(next),
            Successor::Heir(_) | Successor::Nobody => Self::Ends,
        }
    }

    /// The metric that goes on.
    fn itself(&self) -> Option<&Part<'g>> {
        match self {
            Self::Stays(next) | Self::Founds(next) => Some(next),
            Self::Bequeaths(_) | Self::Ends => None,
        }
    }

    /// Whether its source must be read a last time.
    fn is_last(&self) -> bool {
        matches!(self, Self::Founds(_) | Self::Bequeaths(_))
    }
}

impl Succession<'_> {
    fn go_on(&self) {
        let mut memory = self.state.memory();
        let next = self.turn.itself().and_then(|next| next.contributor.limit.as_ref());
        if !next.is_some_and(Limit::admits) {
            memory.admission = None;
        }
        match &self.turn {
            Turn::Stays(next) => {
                let (old, new) = (self.part.contributor, next.contributor);
                if !next.accumulates() {
                    memory.ledger = None;
                } else if let Some(ledger) = &mut memory.ledger
                    && old.scale != new.scale
                {
                    // What keys say is multiplied anew, so what was kept of others is too.
                    ledger.scale_base(new.scale / old.scale);
                }
                if new.rows.decodes_like(&old.rows) {
                    std::mem::swap(&mut *lock(&old.skipped), &mut *lock(&new.skipped));
                }
            }
            Turn::Founds(next) => {
                memory.ledger = memory.ledger.take().map(|old| {
                    let mut ledger = Ledger::new(next.contributor.ledger.clone());
                    ledger.take_over(&old, slot_scale(self.part.plan, self.part.contributor), true);
                    ledger
                });
            }
            Turn::Bequeaths(_) | Turn::Ends => {}
        }
    }

    fn bequeath(&self, states: &States) {
        let Turn::Bequeaths(heir) = &self.turn else { return };
        let Some(left) = self.state.memory().ledger.take() else { return };
        let heir_state = states.metric(&heir.contributor.identity);
        let mut memory = heir_state.memory();
        let scale = slot_scale(self.part.plan, self.part.contributor);
        memory.ledger(&heir.contributor.ledger).take_over(&left, scale, false);
    }
}

/// Reads every source that is needed a last time, and remembers what it holds.
fn read_last(
    old: &Generation,
    successions: &[Succession<'_>],
    settings: &Settings,
    patience: Duration,
) -> Vec<Problem> {
    let last: Vec<&Succession<'_>> = successions.iter().filter(|one| one.turn.is_last()).collect();
    let needed: BTreeMap<usize, &PlannedSource> = last
        .iter()
        .filter_map(|one| Some((one.part.contributor.source, old.sources.get(one.part.contributor.source)?)))
        .collect();
    if needed.is_empty() {
        return Vec::new();
    }
    let limits = Limits { deadline: Instant::now() + patience, max_bytes: settings.max_snapshot_bytes };
    let planned: Vec<&PlannedSource> = needed.values().copied().collect();
    let reads: BTreeMap<usize, SourceRead> =
        needed.keys().copied().zip(read_sources(&planned, &limits)).collect();
    let mut problems = Vec::new();
    for Succession { part, state, turn } in last {
        let Some(read) = reads.get(&part.contributor.source) else { continue };
        let mut memory = state.memory();
        match (&read.snapshot, &read.outcome) {
            (Some(snapshot), _) => {
                memory.follow(snapshot.statistics().epoch);
                remember(part.plan, part.contributor, snapshot, &mut memory, settings);
            }
            (None, Err(error)) => {
                let is_known = memory.remembers(&part.contributor.ledger);
                problems.push(lost(part, turn, is_known, error));
            }
            (None, Ok(_)) => {}
        }
    }
    problems
}

/// What could not be read a last time.
fn lost(part: &Part<'_>, turn: &Turn<'_>, is_known: bool, error: &dyn std::fmt::Display) -> Problem {
    let (map, metric) = (part.map, part.contributor.metric.as_str());
    let place = Place {
        config: Some(part.contributor.config.clone()),
        metric: Some(metric.to_owned()),
        map: Some(map.to_owned()),
        ..Place::default()
    };
    let what = if is_known { "what was counted since the last scrape" } else { "what was counted so far" };
    let when =
        if matches!(turn, Turn::Founds(_)) { "before it was replaced" } else { "before it was closed" };
    let message = format!("{what} for `{metric}` is lost: the map `{map}` could not be read {when}");
    let help = if is_known {
        "its series go on from what the last scrape saw"
    } else {
        "its series begin anew, which Prometheus takes for a restart"
    };
    Problem::warning("base-lost", place, message).found(error.to_string()).help(help)
}

/// Sources of the same name are expected to take as long as before.
fn keep_estimates(old: &Generation, new: &Generation, handover: &Handover) {
    let name = |source: &PlannedSource| handover.name_of(&source.config).to_owned();
    let known: BTreeMap<(String, &str), &PlannedSource> =
        old.sources.iter().map(|source| ((name(source), source.map.as_str()), source)).collect();
    for source in &new.sources {
        if let Some(known) = known.get(&(source.config.clone(), source.map.as_str())) {
            source.expect_read_of(known);
        }
    }
}
