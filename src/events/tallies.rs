//! The tallies of one config, from one version of it to the next.

use std::sync::Arc;

use super::tally::TallySource;
use super::{Tally, TallySink};
use crate::snapshot::{NamedSource, Sink, Source, View};
use crate::spec::{EventSpec, MetricSpec, ViewSpec};

/// What the events of a config are counted in: one tally for each metric that is made of events.
#[derive(Clone, Debug, Default)]
pub struct Tallies {
    all: Vec<Kept>,
}

#[derive(Clone, Debug)]
struct Kept {
    /// The map that the metric is read from.
    map: String,
    family: String,
    spec: EventSpec,
    tally: Arc<Tally>,
}

impl Kept {
    /// Whether what another one counted is what this one counts: members, types and conditions are the same, wherever
    /// they lie in a record.
    fn goes_on_as(&self, spec: &EventSpec) -> bool {
        self.spec.buffer == spec.buffer && self.spec.meaning == spec.meaning
    }
}

impl Tallies {
    /// The tallies that a config wants; those of before go on where they mean the same, so that an edited decoder or
    /// name costs no count.
    #[must_use]
    pub fn new(view: &ViewSpec, before: &Self) -> Self {
        let wanted: Vec<(&MetricSpec, &EventSpec)> =
            view.metrics.iter().filter_map(|metric| Some((metric, metric.events.as_ref()?))).collect();
        let mut free: Vec<Option<&Kept>> = before.all.iter().map(Some).collect();
        let mut found: Vec<Option<Arc<Tally>>> = vec![None; wanted.len()];
        // Those of the same family come first: the name of another one may just have been given up.
        for is_strict in [true, false] {
            for ((metric, spec), found) in wanted.iter().zip(&mut found).filter(|(_, found)| found.is_none())
            {
                let fits =
                    |kept: &Kept| kept.goes_on_as(spec) && (!is_strict || kept.family == metric.family);
                if let Some(place) = free.iter_mut().find(|kept| kept.is_some_and(fits)) {
                    *found = place.take().map(|kept| Arc::clone(&kept.tally));
                }
            }
        }
        let kept = |((metric, spec), tally): ((&MetricSpec, &EventSpec), Option<Arc<Tally>>)| Kept {
            map: metric.map.clone(),
            family: metric.family.clone(),
            spec: spec.clone(),
            tally: tally.map_or_else(|| Arc::new(Tally::new(spec)), |tally| with_room(tally, spec)),
        };
        Self { all: wanted.into_iter().zip(found).map(kept).collect() }
    }

    /// What is loaded with the tallies as sources. Those whose buffer is not loaded are left out.
    #[must_use]
    pub fn complete(&self, view: &View) -> View {
        let source = |kept: &Kept| {
            let named = view.streams.iter().find(|named| named.map == kept.spec.buffer)?;
            let source = TallySource { tally: Arc::clone(&kept.tally), stream: Arc::clone(&named.stream) };
            Some(NamedSource { map: kept.map.clone(), source: Arc::new(source) as Arc<dyn Source> })
        };
        let mut view = view.clone();
        view.sources.extend(self.all.iter().filter_map(source));
        view
    }

    /// What takes the records of a buffer: one sink for all metrics that have the same conditions and the same key.
    #[must_use]
    pub fn sinks(&self, buffer: &str) -> Vec<Box<dyn Sink>> {
        let mut sinks: Vec<(&EventSpec, TallySink)> = Vec::new();
        for Kept { spec, tally, .. } in self.all.iter().filter(|kept| kept.spec.buffer == buffer) {
            let is_alike = |of: &EventSpec| {
                of.conditions == spec.conditions && (&of.key, of.rest) == (&spec.key, spec.rest)
            };
            match sinks.iter_mut().find(|(of, _)| is_alike(of)) {
                Some((_, sink)) => sink.add(spec, Arc::clone(tally)),
                None => sinks.push((spec, TallySink::new(spec, Arc::clone(tally)))),
            }
        }
        sinks.into_iter().map(|(_, sink)| Box::new(sink) as Box<dyn Sink>).collect()
    }

    /// Maps of those that do not go on in the next version.
    pub fn ending<'a>(&'a self, next: &'a Self) -> impl Iterator<Item = &'a str> {
        let goes_on = |kept: &Kept| next.all.iter().any(|next| Arc::ptr_eq(&next.tally, &kept.tally));
        self.all.iter().filter(move |kept| !goes_on(kept)).map(|kept| kept.map.as_str())
    }
}

/// A tally that goes on, as large as it is wanted to be now.
fn with_room(tally: Arc<Tally>, spec: &EventSpec) -> Arc<Tally> {
    tally.limit_as(spec);
    tally
}
