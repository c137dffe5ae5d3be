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
use crate::snapshot::{NamedStream, View};

/// Has every buffer of a config count in its tallies.
pub(super) fn connect(config: &str, view: &View, tallies: &Tallies) {
    for named in &view.streams {
        if let Err(error) = named.stream.connect(tallies.sinks(&named.map)) {
            tracing::warn!(config, map = named.map, error, "its events are read at scrapes only");
        }
    }
}

/// The same with those buffers alone that nothing that is running writes to.
pub(super) fn connect_new<L>(view: &View, running: Option<&Running<L>>, tallies: &Tallies) {
    let known = running.map_or(&[][..], |running| &running.bare.streams);
    let is_new = |named: &&NamedStream| !is_among(named, known);
    let streams = view.streams.iter().filter(is_new).cloned().collect();
    connect(&view.config, &View { streams, ..view.clone() }, tallies);
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
