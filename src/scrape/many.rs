//! Metrics that have become too many series without a limit.

use std::sync::atomic::Ordering;

use super::plan::Contributor;
use super::state::MetricState;

/// From here on a metric is one that somebody should know of.
const MANY: u64 = 100_000;

impl MetricState {
    /// Whether a metric has many series; the log tells it when that begins.
    pub(super) fn has_many(&self, series: u64, contributor: &Contributor) -> bool {
        let has_many = series >= MANY;
        if has_many && !self.had_many.swap(true, Ordering::Relaxed) {
            let (config, metric) = (&contributor.config, &contributor.metric);
            tracing::warn!(%config, %metric, series, "a metric has many series; `max_series` would bound it");
        }
        has_many
    }
}
