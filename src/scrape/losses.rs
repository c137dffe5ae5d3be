//! Losses of events that programs count themselves, from one generation to the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::generation::{Generation, Member};
use super::publish::Handover;
use super::state::States;
use crate::snapshot::{Column, Limits, Reduce, Snapshot, Source};
use crate::spec::{LossSpec, ValueSpec};

/// Losses with what they are read from.
pub(super) struct PlannedLoss {
    config: String,
    spec: LossSpec,
    source: Arc<dyn Source>,
}

/// Config, what was lost something of, and why.
pub(super) type Reason = (String, String, String);

/// What is remembered of losses.
#[derive(Debug, Default)]
pub(super) struct LossStates {
    /// What maps said that were replaced.
    bases: BTreeMap<Reason, u64>,
    /// What each map said last.
    last: BTreeMap<(Reason, String), u64>,
}

/// The losses of loaded configs.
pub(super) fn plan(members: &[Member]) -> Vec<PlannedLoss> {
    let of_member = |member: &Member| {
        let planned = |spec: &LossSpec| {
            let named = member.view.sources.iter().find(|named| named.map == spec.map)?;
            Some(PlannedLoss {
                config: member.view.config.clone(),
                spec: spec.clone(),
                source: Arc::clone(&named.source),
            })
        };
        member.view_spec.losses.iter().filter_map(planned).collect::<Vec<_>>()
    };
    members.iter().flat_map(of_member).collect()
}

impl PlannedLoss {
    /// How many events were lost, by the reason; none when that cannot be read.
    fn read(&self, limits: &Limits) -> Option<Vec<u64>> {
        let LossSpec { offset, words, elements, reasons, .. } = &self.spec;
        let value = ValueSpec::unsigned(*offset, size_of::<u64>());
        let column = Column { value, count: words * elements, reduce: Reduce::Sum };
        let outcome = Snapshot::read(self.source.as_ref(), &[column], limits);
        let snapshot = outcome
            .inspect_err(|error| {
                let (config, map) = (&self.config, &self.spec.map);
                tracing::warn!(%config, %map, %error, "how many events were lost cannot be read");
            })
            .ok()?;
        let numbers = snapshot.numbers(0)?;
        let sum = |word: usize| numbers.bits.iter().skip(word).step_by((*words).max(1)).sum();
        Some(reasons.iter().map(|(_, word)| sum(*word)).collect())
    }

    fn reason(&self, config: &str, reason: &str) -> Reason {
        (config.to_owned(), self.spec.source.clone(), reason.to_owned())
    }
}

/// Reads the losses of a generation. Those that cannot be read are left out.
pub(super) fn read(generation: &Generation, limits: &Limits, states: &States) -> BTreeMap<Reason, u64> {
    let mut totals = BTreeMap::new();
    let mut states = states.losses();
    for loss in &generation.losses {
        let Some(found) = loss.read(limits) else { continue };
        for ((reason, _), count) in loss.spec.reasons.iter().zip(found) {
            let name = loss.reason(&loss.config, reason);
            states.last.insert((name.clone(), loss.spec.map.clone()), count);
            // What was said of maps that are gone is told once, with the first that is there.
            let base = || states.bases.get(&name).copied().unwrap_or(0);
            *totals.entry(name.clone()).or_insert_with(base) += count;
        }
    }
    totals
}

/// Hands what was lost in maps that are replaced to those that take their place. They are read a last time.
pub(super) fn carry(
    old: &Generation,
    new: &Generation,
    handover: &Handover,
    states: &States,
    limits: &Limits,
) {
    let mut states = states.losses();
    let mut bases = std::mem::take(&mut states.bases);
    let mut last = std::mem::take(&mut states.last);
    let renamed = |name: &Reason| (handover.name_of(&name.0).to_owned(), name.1.clone(), name.2.clone());
    bases = bases.into_iter().map(|(name, count)| (renamed(&name), count)).collect();
    for loss in &old.losses {
        let config = handover.name_of(&loss.config);
        let begins_anew =
            handover.replaced.iter().any(|one| one.config == loss.config && one.map == loss.spec.map);
        let goes_on =
            !begins_anew && new.losses.iter().any(|next| next.config == config && next.spec == loss.spec);
        let found = if goes_on { None } else { loss.read(limits) };
        for (nth, (reason, _)) in loss.spec.reasons.iter().enumerate() {
            let before = last.remove(&(loss.reason(&loss.config, reason), loss.spec.map.clone()));
            let name = loss.reason(config, reason);
            let now = found.as_ref().and_then(|found| found.get(nth).copied()).or(before);
            match now {
                Some(count) if goes_on => {
                    states.last.insert((name, loss.spec.map.clone()), count);
                }
                Some(count) => *bases.entry(name).or_default() += count,
                None => {}
            }
        }
    }
    let is_known = |(config, source, reason): &Reason| {
        let has = |loss: &PlannedLoss| loss.spec.reasons.iter().any(|(known, _)| known == reason);
        new.losses.iter().any(|loss| loss.config == *config && loss.spec.source == *source && has(loss))
    };
    bases.retain(|name, _| is_known(name));
    states.bases = bases;
}
