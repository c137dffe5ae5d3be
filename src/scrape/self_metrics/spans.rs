//! What became of spans.

use super::family::Families;
use super::names;
use crate::spans::Counts;

/// Why a record makes no span, which the reference counts as an error of its decoders.
const ERRORS: [&str; 3] = ["too_short", "decode", "trace_id"];

pub(super) fn collect(counts: &Counts, families: &mut Families) {
    for config in &counts.configs {
        let name = ("config", config.config.as_str());
        families.add(&names::SPANS, &[name], config.received as f64);
        for (reason, dropped) in &config.dropped {
            families.add(&names::SPANS_DROPPED, &[name, ("reason", reason)], *dropped as f64);
            if ERRORS.contains(reason) {
                families.add(&names::DECODER_ERRORS, &[name], *dropped as f64);
            }
        }
    }
    families.add(&names::SPANS_EXPORTED, &[], counts.exported as f64);
    families.add(&names::SPANS_REJECTED, &[], counts.rejected as f64);
    families.add(&names::SPANS_QUEUED, &[], counts.queued as f64);
    families.add(&names::SPAN_REQUESTS, &[], counts.requests as f64);
    for (reason, failures) in &counts.failures {
        families.add(&names::SPAN_REQUESTS_FAILED, &[("reason", reason)], *failures as f64);
    }
}
