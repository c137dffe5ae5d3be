//! Buffers of events, from one version of a config to the next.
//!
//! A buffer has one reader. What was written to one that goes on is read as what its programs go on to write. One that
//! is given up is emptied when the programs that write to it have ended, before it is let go of.

use std::sync::Arc;
use std::time::Instant;

use super::super::unit::Running;
use crate::events::Tallies;
use crate::problem::{Place, Problem};
use crate::scrape::Replaced;
use crate::snapshot::{NamedStream, Sink, View};
use crate::spans::Spans;
use crate::spec::SpanSpec;

/// Where the events of a config go.
pub(super) struct Goals<'a> {
    pub(super) config: &'a str,
    pub(super) tallies: &'a Tallies,
    /// Kinds of spans that some of them are.
    pub(super) kinds: &'a [SpanSpec],
    pub(super) spans: &'a Spans,
}

impl Goals<'_> {
    /// Whoever takes the events of a buffer.
    fn sinks(&self, buffer: &str) -> Vec<Box<dyn Sink>> {
        let mut sinks = self.tallies.sinks(buffer);
        let own = self.kinds.iter().filter(|kind| kind.map == buffer);
        let own = own.filter_map(|kind| self.spans.sink(self.config, kind));
        sinks.extend(own.map(|sink| Box::new(sink) as Box<dyn Sink>));
        sinks
    }
}

/// Has every buffer of a config bring its events to where they count.
pub(super) fn connect(view: &View, goals: &Goals<'_>) {
    for named in &view.streams {
        if let Err(error) = named.stream.connect(goals.sinks(&named.map)) {
            let config = goals.config;
            tracing::warn!(config, map = named.map, error, "its events are read at scrapes only");
        }
    }
}

/// The same with those buffers alone that nothing that is running writes to.
pub(super) fn connect_new<L>(view: &View, running: Option<&Running<L>>, goals: &Goals<'_>) {
    let known = running.map_or(&[][..], |running| &running.bare.streams);
    let is_new = |named: &&NamedStream| !is_among(named, known);
    let streams = view.streams.iter().filter(is_new).cloned().collect();
    connect(&View { streams, ..view.clone() }, goals);
}

/// What begins anew although its metrics may go on.
pub(super) fn replaced<'a>(
    config: &'a str,
    old: &'a Tallies,
    new: &'a Tallies,
) -> impl Iterator<Item = Replaced> + use<'a> {
    old.ending(new).map(|map| Replaced { config: config.to_owned(), map: map.to_owned() })
}

/// Buffers that are given up.
pub(super) fn ending(old: &View, next: &View) -> Vec<NamedStream> {
    old.streams.iter().filter(|named| !is_among(named, &next.streams)).cloned().collect()
}

/// Empties buffers whose programs have ended; what could not be had.
pub(super) fn drain(config: &str, ending: &[NamedStream], deadline: Instant) -> Vec<Problem> {
    let problem = |named: &NamedStream| {
        let error = named.stream.drain(deadline).err()?;
        let map = Some(named.map.clone());
        let place = Place { config: Some(config.to_owned()), map, ..Place::default() };
        let message = format!("events that were left in `{}` are lost", named.map);
        Some(Problem::warning("events-lost", place, message).found(error.to_string()))
    };
    ending.iter().filter_map(problem).collect()
}

fn is_among(named: &NamedStream, others: &[NamedStream]) -> bool {
    others.iter().any(|other| Arc::ptr_eq(&other.stream, &named.stream))
}
