//! Spans: what the environment wants, the rights of their thread, and their end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::privileges;
use crate::cli::Keep;
use crate::reload::Found;
use crate::spans::{Choice, Spans, read_environment};

/// How long what waits may take to be sent when the exporter ends: less than whoever ends it waits.
pub const FLUSH: Duration = Duration::from_secs(5);

/// What the environment wants. The thread that exports needs no rights at all.
pub fn spans(keep: &Keep) -> Arc<Spans> {
    let environment = read_environment(&|name| std::env::var_os(name));
    let kept = match keep {
        Keep::All => Keep::All,
        Keep::Only(_) => Keep::Only(BTreeSet::new()),
    };
    let prepare = move || privileges::reduce_this_thread(&kept).map_err(|error| error.to_string());
    Arc::new(Spans::new(environment, Arc::new(prepare)))
}

/// Whether configs ask for spans that cannot be exported; says so.
pub fn are_refused(found: &Found) -> bool {
    let has_spans = found
        .configs
        .iter()
        .filter_map(|config| config.spec.as_ref())
        .any(|spec| !spec.view.spans.is_empty());
    match read_environment(&|name| std::env::var_os(name)).choice {
        Choice::Refused(refusal) if has_spans => {
            tracing::error!("spans are not exported: {refusal}");
            true
        }
        Choice::Refused(_) | Choice::Export(_) | Choice::Off(_) => false,
    }
}

/// How spans fare, for people; empty where there are none.
pub fn sentence(spans: &Spans) -> String {
    let Some(counts) = spans.counts() else { return String::new() };
    let received: u64 = counts.configs.iter().map(|config| config.received).sum();
    match spans.choice() {
        Choice::Export(settings) => format!(
            "Spans go to {}: {received} came, {} are exported, {} wait.",
            settings.endpoint, counts.exported, counts.queued
        ),
        Choice::Refused(refusal) => format!("Spans are not exported: {refusal}."),
        Choice::Off(_) => String::new(),
    }
}
