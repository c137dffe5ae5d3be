//! Metrics that may not have as many series, or as long labels, as their maps would give.

use std::time::{Duration, Instant};

use super::state::{Memory, Tally};
use crate::series::{Admission, cut_labels, push_label};
use crate::spec::SeriesLimit;

/// A label set that is gone keeps its place for as long as Prometheus shows its series.
pub(super) const GRACE: Duration = Duration::from_secs(5 * 60);

/// What bounds one metric of one config.
#[derive(Debug)]
pub(super) struct Limit {
    max_series: Option<usize>,
    /// The label set that takes in the rest, as a list.
    other: Option<Vec<u8>>,
    max_label_length: Option<usize>,
    /// What gives label sets their meaning.
    meaning: String,
    /// Whether its map cannot hold more than it may have.
    is_out_of_reach: bool,
}

impl Limit {
    /// What bounds a metric whose map has room for so many rows; none when nothing does.
    pub(super) fn of(limit: &SeriesLimit, meaning: &str, rows: Option<u64>) -> Option<Self> {
        if limit.max_series.is_none() && limit.max_label_length.is_none() {
            return None;
        }
        let fits = |max: usize| rows.is_some_and(|rows| rows <= max as u64);
        Some(Self {
            max_series: limit.max_series,
            other: limit.other.as_ref().map(|texts| list(texts)),
            max_label_length: limit.max_label_length,
            meaning: meaning.to_owned(),
            is_out_of_reach: limit.max_label_length.is_none() && limit.max_series.is_none_or(fits),
        })
    }

    /// Whether rows may be published as they are, because the limit cannot be reached.
    pub(super) fn is_out_of_reach(&self) -> bool {
        self.is_out_of_reach
    }

    /// Cuts the labels of a list that are too long; whether there were any.
    pub(super) fn cut(&self, list: &mut Vec<u8>, scratch: &mut Vec<u8>) -> bool {
        self.max_label_length.is_some_and(|max| cut_labels(list, max, scratch))
    }

    /// Begins a pass. What is published whatever the map holds has the first places.
    fn begin(&self, memory: &mut Memory, zeros: &[Vec<u8>]) {
        let Some(max) = self.max_series else { return };
        let now = Instant::now();
        let admission = memory.admission.get_or_insert_with(|| Admission::new(&self.meaning, max, now));
        admission.begin(&self.meaning, max, now);
        for list in zeros {
            admission.admit(list);
        }
        if let Some(ledger) = &mut memory.ledger {
            ledger.retain_founded(|list| self.is_other(list) || admission.admit(list));
        }
    }

    /// Whether a row is published; its labels may be others then.
    fn takes(
        &self,
        memory: &mut Memory,
        list: &mut Vec<u8>,
        scratch: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> bool {
        if self.cut(list, scratch) {
            tally.limited("max_label_length");
        }
        let Some(admission) = memory.admission.as_mut().filter(|_| self.admits()) else { return true };
        if self.is_other(list) || admission.admit(list) {
            return true;
        }
        let Some(other) = &self.other else {
            tally.limited("max_series");
            return false;
        };
        tally.limited("other");
        list.clone_from(other);
        true
    }

    /// Whether the last word of a row that no pass will meet any more is to be kept; its labels may be others
    /// then. Nobody is admitted by it.
    fn takes_last(&self, memory: &Memory, list: &mut Vec<u8>, scratch: &mut Vec<u8>) -> bool {
        self.cut(list, scratch);
        let Some(admission) = memory.admission.as_ref().filter(|_| self.admits()) else { return true };
        if self.is_other(list) || admission.has(list) {
            return true;
        }
        self.other.as_ref().map(|other| list.clone_from(other)).is_some()
    }

    /// Ends a pass.
    fn finish(&self, memory: &mut Memory, grace: Duration) {
        if let (Some(ledger), Some(other)) = (&mut memory.ledger, &self.other) {
            // The rest never ends: what left it would have to be told again when it returned.
            ledger.keep(other);
        }
        if let Some(admission) = &mut memory.admission {
            admission.finish(grace);
        }
    }

    /// Whether label sets are remembered.
    pub(super) fn admits(&self) -> bool {
        self.max_series.is_some()
    }

    fn is_other(&self, list: &[u8]) -> bool {
        self.other.as_deref() == Some(list)
    }
}

/// The limit of a metric during one walk over rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gate<'a> {
    limit: Option<&'a Limit>,
    zeros: &'a [Vec<u8>],
    grace: Duration,
    /// Whether the rows are the last words of keys that were deleted.
    is_last: bool,
}

impl<'a> Gate<'a> {
    pub(super) fn new(limit: Option<&'a Limit>, zeros: &'a [Vec<u8>], grace: Duration) -> Self {
        Self { limit, zeros, grace, is_last: false }
    }

    /// The same for keys that were deleted.
    pub(super) fn for_last_words(self) -> Self {
        Self { is_last: true, ..self }
    }

    /// Begins the walk.
    pub(super) fn begin(self, memory: &mut Memory) {
        if let Some(limit) = self.limit.filter(|_| !self.is_last) {
            limit.begin(memory, self.zeros);
        }
    }

    /// Whether a row is published; its labels may be others then.
    pub(super) fn takes(
        self,
        memory: &mut Memory,
        list: &mut Vec<u8>,
        scratch: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> bool {
        match self.limit {
            None => true,
            Some(limit) if self.is_last => limit.takes_last(memory, list, scratch),
            Some(limit) => limit.takes(memory, list, scratch, tally),
        }
    }

    /// Ends the walk.
    pub(super) fn finish(self, memory: &mut Memory) {
        if let Some(limit) = self.limit.filter(|_| !self.is_last) {
            limit.finish(memory, self.grace);
        }
    }
}

/// A label set as a list.
pub(super) fn list(texts: &[String]) -> Vec<u8> {
    let mut list = Vec::new();
    for text in texts {
        let Ok(()) = push_label(&mut list, |out| {
            out.extend_from_slice(text.as_bytes());
            Ok::<_, std::convert::Infallible>(())
        });
    }
    list
}
