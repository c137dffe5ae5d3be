//! `zero`: every label set that there can be, from the start.

use super::Sink;
use crate::config::raw::RawMetric;
use crate::problem::{Place, Problem};
use crate::spec::{LabelSource, LabelSpec};

/// Series that may be published before anything happened.
const MAX_SERIES: usize = 10_000;

/// Whether a metric starts at zero; the labels (of a histogram: without its slot) are none when they are at fault.
pub(super) fn zero(sink: &mut Sink<'_>, raw: &RawMetric, labels: Option<&[LabelSpec]>) -> Option<bool> {
    let Some(zero) = raw.zero.as_ref().filter(|zero| zero.value) else { return Some(false) };
    let mut counts = Vec::new();
    let mut open = Vec::new();
    for label in labels? {
        // How many CPUs there are is the machine's affair, and a per-CPU array has all of them anyway.
        let texts = if label.source == LabelSource::Cpu { None } else { label.chain.texts() };
        match texts {
            Some(texts) => counts.push((label.name.as_str(), texts.len())),
            None => open.push(format!("`{}`", label.name)),
        }
    }
    let series = counts.iter().try_fold(1usize, |series, (_, count)| series.checked_mul(*count));
    let problem = if !open.is_empty() {
        let (labels, are) = if open.len() == 1 { ("label", "is") } else { ("labels", "are") };
        let message = format!(
            "`zero` needs labels whose values are all known, and the {labels} {} {are} not",
            open.join(", ")
        );
        Problem::error("not-enumerable", Place::default(), message)
            .expected("labels that end in `enum`, `static_map` or `bool`, or no labels")
            .help("remove `zero`, or name the values with a `static_map`")
    } else if series.is_none_or(|series| series > MAX_SERIES) {
        let factors: Vec<String> =
            counts.iter().map(|(name, count)| format!("{count} of `{name}`")).collect();
        let message = "`zero` would publish too many series before anything happened";
        Problem::error("too-many-zeros", Place::default(), message)
            .expected(format!("{MAX_SERIES} label sets at most"))
            .found(factors.join(" × "))
            .help("remove `zero`, or a label")
    } else {
        return Some(true);
    };
    sink.report(&zero.spot, problem);
    None
}
