//! Which metric of one generation goes on as which of the next.

use super::generation::Generation;
use super::plan::{Contributor, FamilyPlan};
use super::publish::Handover;
use crate::spec::MetricKind;

/// A metric of a generation, with its family.
#[derive(Clone, Copy)]
pub(super) struct Part<'g> {
    pub(super) plan: &'g FamilyPlan,
    pub(super) contributor: &'g Contributor,
    /// The map that it is read from.
    pub(super) map: &'g str,
}

/// What becomes of a metric.
#[derive(Clone, Copy)]
pub(super) enum Successor<'g> {
    /// It goes on.
    Itself(Part<'g>),
    /// It is gone, but another metric of its family is there.
    Heir(Part<'g>),
    /// It is gone, and its family with it.
    Nobody,
}

impl<'g> Part<'g> {
    /// Whether its series only rise.
    pub(super) fn accumulates(&self) -> bool {
        self.plan.kind != MetricKind::Gauge
    }

    /// All metrics of a family.
    fn all(generation: &'g Generation, plan: &'g FamilyPlan) -> impl Iterator<Item = Self> {
        let map = |index: usize| generation.sources.get(index).map_or("", |source| source.map.as_str());
        plan.contributors.iter().map(move |contributor| Self {
            plan,
            contributor,
            map: map(contributor.source),
        })
    }
}

/// Whether a metric may go on as another one of its config and family.
type Rule = fn(old: &Part<'_>, is_replaced: bool, new: &Part<'_>) -> bool;

/// The best comes first. A config may have several metrics of one family, so their order alone
/// does not say which is which when one of them is removed.
const RULES: [Rule; 4] = [
    // A map that is replaced may hold anything anywhere.
    |old, is_replaced, new| !is_replaced && old.contributor.ledger.keys == new.contributor.ledger.keys,
    |old, _, new| old.map == new.map,
    |old, _, new| old.contributor.identity == new.contributor.identity,
    |_, _, _| true,
];

/// What becomes of each metric of the old generation.
pub(super) fn successors<'g>(
    old: &'g Generation,
    new: &'g Generation,
    handover: &Handover,
    is_replaced: impl Fn(&Part<'_>) -> bool,
) -> Vec<(Part<'g>, Successor<'g>)> {
    let mut all = Vec::new();
    for plan in &old.families {
        let family = new.families.binary_search_by(|other| other.name.cmp(&plan.name));
        let family = family.ok().and_then(|index| new.families.get(index));
        let heirs: Vec<Part<'g>> = family.into_iter().flat_map(|plan| Part::all(new, plan)).collect();
        let parts: Vec<Part<'g>> = Part::all(old, plan).collect();
        let pairs = pair(&parts, &heirs, handover, &is_replaced);
        // Who was there before is the better heir: it has what the family said already.
        let heir = pairs.iter().find_map(|heir| *heir).or_else(|| heirs.first().copied());
        all.extend(parts.into_iter().zip(pairs).map(|(part, itself)| match (itself, heir) {
            (Some(itself), _) => (part, Successor::Itself(itself)),
            (None, Some(heir)) => (part, Successor::Heir(heir)),
            (None, None) => (part, Successor::Nobody),
        }));
    }
    all
}

/// For each of the old metrics of a family the new one that it goes on as.
fn pair<'g>(
    old: &[Part<'g>],
    new: &[Part<'g>],
    handover: &Handover,
    is_replaced: impl Fn(&Part<'_>) -> bool,
) -> Vec<Option<Part<'g>>> {
    let mut pairs = vec![None; old.len()];
    let mut free: Vec<Option<Part<'g>>> = new.iter().copied().map(Some).collect();
    for rule in RULES {
        for (part, pair) in old.iter().zip(&mut pairs).filter(|(_, pair)| pair.is_none()) {
            let is_replaced = is_replaced(part);
            let config = handover.name_of(&part.contributor.config);
            let fits =
                |other: &Part<'_>| other.contributor.config == config && rule(part, is_replaced, other);
            if let Some(taken) = free.iter_mut().find(|other| other.as_ref().is_some_and(fits)) {
                *pair = taken.take();
            }
        }
    }
    pairs
}
