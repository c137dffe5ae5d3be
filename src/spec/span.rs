//! Spans that a ring buffer brings.

use super::{Condition, LabelSpec};
use crate::problem::Place;

/// Spans of one kind of one config.
#[derive(Clone, Debug)]
pub struct SpanSpec {
    /// What a span is called that does not say it.
    pub name: String,
    /// The ring buffer.
    pub map: String,
    /// The service that they belong to, when it is not the exporter's own.
    pub service: Option<String>,
    /// Which records count: those that fulfil all of these.
    pub conditions: Vec<Condition>,
    /// Parts of a span and attributes, in the order written. Their bytes are those of a record.
    pub labels: Vec<LabelSpec>,
    /// Where it was written.
    pub place: Place,
}
