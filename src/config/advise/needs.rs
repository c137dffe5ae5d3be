//! What a config asks of a machine: a line of the summary.

use std::fmt::{Display, Formatter};

use super::{Subject, series};

/// What a config asks of the machine that serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    metrics: usize,
    series: u64,
}

/// What serving a config takes.
#[must_use]
pub fn needs(subject: &Subject<'_>) -> Needs {
    Needs { metrics: subject.metrics().len(), series: series::total(subject) }
}

impl Display for Needs {
    fn fmt(&self, out: &mut Formatter<'_>) -> std::fmt::Result {
        let metrics =
            if self.metrics == 1 { "1 metric".to_owned() } else { format!("{} metrics", self.metrics) };
        write!(out, "{metrics}, at most {} series", series::grouped(self.series))
    }
}
