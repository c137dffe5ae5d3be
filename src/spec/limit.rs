//! What bounds the series of a metric and the entries of a map.

use std::time::Duration;

/// How many series a metric may have, and how long their labels may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesLimit {
    /// How many label sets; as many as there are when it is not given.
    pub max_series: Option<usize>,
    /// The values of the one label set that takes in the rest, in the order of the labels. Without it the rest
    /// is left out.
    pub other: Option<Vec<String>>,
    /// How many bytes a label may have, with the mark behind one that was cut.
    pub max_label_length: Option<usize>,
}

/// After how long without a change entries are taken out of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapExpiry {
    /// The map's name.
    pub map: String,
    /// How long.
    pub after: Duration,
}
