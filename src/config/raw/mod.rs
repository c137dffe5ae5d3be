//! A config as typed data, exactly as far as its own text tells: nothing is known of the object yet.
//!
//! Reading collects every problem instead of stopping at the first. Each value keeps
//! its [`Spot`], so that the checks that follow can point at it too.

mod attach;
mod decoder;
mod fields;
mod keys;
mod label;
mod later;
mod load;
mod metric;
mod reader;
mod span;
mod top;

pub(crate) use attach::{RawAttach, RawKind};
pub(crate) use keys::{Key, Keys, Shape};
pub(crate) use load::{RawCgroups, RawChoice, RawGlobal, RawMap, RawProgram, RawValue, ValueShape};
pub(crate) use reader::Reader;
pub(crate) use top::{TOP, config};

use std::time::Duration;

use super::findings::Spot;
use crate::decode::Params;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Found<T> {
    pub(crate) value: T,
    pub(crate) spot: Spot,
}

/// A whole file.
#[derive(Debug, Default)]
pub(crate) struct RawConfig {
    pub(crate) object: Option<Found<String>>,
    pub(crate) namespace: Option<Found<String>>,
    pub(crate) kaddrs: Vec<Found<String>>,
    pub(crate) globals: Vec<RawGlobal>,
    /// Options of the kernel's configuration.
    pub(crate) kconfig: Vec<RawGlobal>,
    pub(crate) programs: Vec<RawProgram>,
    pub(crate) choices: Vec<RawChoice>,
    pub(crate) maps: Vec<RawMap>,
    pub(crate) cgroups: Option<RawCgroups>,
    pub(crate) metrics: Vec<RawMetric>,
    pub(crate) spans: Vec<RawSpan>,
    /// Whether any of the lists that make a config was written, even an empty one.
    pub(crate) has_lists: bool,
}

/// Which list of `metrics` a metric stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Counters,
    Gauges,
    Histograms,
}

impl Group {
    /// The key of the list.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Counters => "counters",
            Self::Gauges => "gauges",
            Self::Histograms => "histograms",
        }
    }

    /// One of them in words.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Counters => "counter",
            Self::Gauges => "gauge",
            Self::Histograms => "histogram",
        }
    }
}

/// A metric of any group.
#[derive(Debug)]
pub(crate) struct RawMetric {
    pub(crate) group: Group,
    pub(crate) spot: Spot,
    pub(crate) name: Option<Found<String>>,
    pub(crate) help: Option<Found<String>>,
    pub(crate) map: Option<Found<String>>,
    pub(crate) global: Option<Found<String>>,
    pub(crate) scale: Option<Found<f64>>,
    pub(crate) reduce: Option<Found<String>>,
    pub(crate) zero: Option<Found<bool>>,
    pub(crate) max_series: Option<Found<i64>>,
    /// Labels with what they say of the rest.
    pub(crate) other: Option<Found<Vec<RawText>>>,
    pub(crate) max_label_length: Option<Found<i64>>,
    pub(crate) bucket_type: Option<Found<String>>,
    pub(crate) bucket_min: Option<Found<i64>>,
    pub(crate) bucket_max: Option<Found<i64>>,
    pub(crate) bucket_multiplier: Option<Found<f64>>,
    pub(crate) bucket_keys: Option<Found<Vec<Found<f64>>>>,
    pub(crate) labels: Vec<RawLabel>,
    /// The ring buffer whose events it is made of.
    pub(crate) ringbuf: Option<Found<String>>,
    /// Whether its map is an array of performance events.
    pub(crate) perf_event_array: bool,
    /// The struct that events are.
    pub(crate) event_type: Option<Found<String>>,
    /// What members of events must be.
    pub(crate) conditions: Vec<RawGlobal>,
    /// The member of events whose size is counted.
    pub(crate) observe: Option<Found<String>>,
    /// After how long everything is forgotten.
    pub(crate) flush_interval: Option<Found<Duration>>,
    /// The member of a struct value that is the number.
    pub(crate) value: Option<Found<String>>,
    /// The field of the key that holds a histogram's slot.
    pub(crate) bucket: Option<Found<String>>,
    /// The member of the value that is the array of a histogram's slots.
    pub(crate) slots: Option<Found<String>>,
    /// The member beside it that is the sum.
    pub(crate) sum: Option<Found<String>>,
    /// The member beside it that counts all observations.
    pub(crate) count: Option<Found<String>>,
    /// Keys that were written, whatever became of their values.
    pub(crate) given: Vec<String>,
    /// Whether reading it found an error: then it is lost already, and only checked on.
    pub(crate) broken: bool,
    /// Whether it is no metric at all, or one of a later version: then there is nothing to check.
    pub(crate) strange: bool,
}

impl RawMetric {
    /// Whether a key was written, whatever became of its value.
    pub(crate) fn gives(&self, key: &str) -> bool {
        self.given.iter().any(|given| given == key)
    }

    /// Whether it is made of events instead of the entries of a map.
    pub(crate) fn is_of_events(&self) -> bool {
        self.perf_event_array || self.gives("ringbuf")
    }

    /// The buffer that its events come from.
    pub(crate) fn buffer(&self) -> Option<&Found<String>> {
        let named = if self.gives("ringbuf") { &self.ringbuf } else { &self.map };
        let own = self.name.as_ref().filter(|_| !self.gives("ringbuf"));
        named.as_ref().or(own).filter(|name| self.is_of_events() && !name.value.is_empty())
    }

    /// Whether the last label is a histogram's slot, because nothing else says where it is.
    pub(crate) fn slot_is_label(&self) -> bool {
        let is_elsewhere = self.gives("bucket") || self.gives("slots") || self.is_of_events();
        self.group == Group::Histograms && !is_elsewhere
    }

    /// Whether some labels are by name and some by position.
    pub(crate) fn is_mixed(&self) -> bool {
        let by_name = self.is_by_name();
        let other = |label: &RawLabel| if by_name { label.gives_size } else { label.gives_field };
        self.labels.iter().any(other) || (!by_name && self.gives("bucket"))
    }

    /// Whether labels are members of the key by their names, instead of its bytes in their order.
    pub(crate) fn is_by_name(&self) -> bool {
        match self.labels.first() {
            Some(first) => !first.gives_size,
            None => self.gives("bucket"),
        }
    }
}

/// Spans of one kind.
#[derive(Debug)]
pub(crate) struct RawSpan {
    pub(crate) name: Option<Found<String>>,
    pub(crate) service: Option<Found<String>>,
    /// What its records are, as a metric that is made of events has it.
    pub(crate) record: RawMetric,
}

impl RawSpan {
    /// What its spans are called that do not say it.
    pub(crate) fn called(&self) -> Option<&str> {
        let names = [&self.name, &self.record.ringbuf].into_iter().flatten();
        names.map(|found| found.value.as_str()).find(|name| !name.is_empty())
    }
}

/// A label with what it says.
#[derive(Clone, Debug)]
pub(crate) struct RawText {
    pub(crate) label: Found<String>,
    pub(crate) text: String,
}

/// A label, by name or by position.
#[derive(Debug)]
pub(crate) struct RawLabel {
    pub(crate) spot: Spot,
    pub(crate) name: Option<Found<String>>,
    pub(crate) size: Option<Found<usize>>,
    pub(crate) padding: Option<Found<usize>>,
    /// The member of the key.
    pub(crate) field: Option<Found<String>>,
    /// Whether the key is the one of the map that holds the map.
    pub(crate) outer: Option<Found<bool>>,
    pub(crate) decoders: Vec<RawDecoder>,
    /// Whether `size` or `padding` was written, whatever became of it.
    pub(crate) gives_size: bool,
    /// Whether `field` or `outer` was written, whatever became of it, or the name alone.
    pub(crate) gives_field: bool,
    /// Whether reading it found an error.
    pub(crate) broken: bool,
}

impl RawLabel {
    /// Whether it is a part of the key by which an inner map is found.
    pub(crate) fn is_outer(&self) -> bool {
        self.outer.as_ref().is_some_and(|outer| outer.value)
    }
}

/// One decoder of a label's chain.
#[derive(Debug)]
pub(crate) struct RawDecoder {
    pub(crate) spot: Spot,
    pub(crate) name: Option<Found<String>>,
    pub(crate) params: Params,
    /// Where each regexp stands.
    pub(crate) regexps: Vec<Spot>,
    /// Where the whole of a parameter stands.
    pub(crate) spots: Vec<(&'static str, Spot)>,
    /// Whether reading it found an error.
    pub(crate) broken: bool,
}
