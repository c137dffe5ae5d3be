//! What bounds the series of a metric: `max_series`, `other`, `max_label_length`.

use super::{Context, Sink};
use crate::config::raw::{Found, RawMetric, RawText};
use crate::config::suggest;
use crate::problem::{Place, Problem};
use crate::series::SHORTEST;
use crate::spec::{LabelSpec, SeriesLimit};

/// What labels of the rest say that `other` does not name.
const OTHER: &str = "other";

/// What bounds a metric; `zero` says whether it begins with every label set that there can be.
pub(super) fn limit(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    labels: Option<&[LabelSpec]>,
    zero: bool,
) -> Option<SeriesLimit> {
    // They are few enough, which was checked.
    let zeros = labels.filter(|_| zero).map_or(0, |labels| {
        labels.iter().map(|label| label.chain.texts().map_or(1, |texts| texts.len())).product()
    });
    let max_series = max_series(context, sink, raw, zeros);
    let other = labels.and_then(|labels| other(sink, raw, labels, max_series.flatten()));
    let max_label_length = max_label_length(sink, raw);
    Some(SeriesLimit { max_series: max_series?, other: other?, max_label_length: max_label_length? })
}

/// How many label sets; 0 is as many as there are, whatever the command line says.
fn max_series(
    context: &Context<'_>,
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    zeros: usize,
) -> Option<Option<usize>> {
    let Some(written) = &raw.max_series else {
        // What is there from the start was meant to be.
        return Some(context.max_series.map(|max| max.max(zeros)));
    };
    let problem = |message: &str| Problem::error("bad-limit", Place::default(), message.to_owned());
    let Ok(max) = usize::try_from(written.value) else {
        let problem = problem("`max_series` is no number of label sets");
        sink.report(
            &written.spot,
            problem.expected("1 or more, or 0 for as many as there are").found(written.value.to_string()),
        );
        return None;
    };
    if max != 0 && max < zeros {
        let problem = problem("`zero` publishes more label sets than `max_series` allows");
        sink.report(&written.spot, problem.expected(format!("{zeros} or more")).found(max.to_string()));
        return None;
    }
    Some((max != 0).then_some(max))
}

/// The one label set of the rest: a text for each label.
fn other(
    sink: &mut Sink<'_>,
    raw: &RawMetric,
    labels: &[LabelSpec],
    max_series: Option<usize>,
) -> Option<Option<Vec<String>>> {
    let Some(written) = &raw.other else { return Some(None) };
    let problem = |message: String| Problem::error("bad-limit", Place::default(), message);
    if labels.is_empty() {
        let message = "`other` has no effect: without labels there is one series".to_owned();
        sink.report(
            &written.spot,
            Problem::warning("unused-key", Place::default(), message).help("remove it"),
        );
        return Some(None);
    }
    let mut is_good = true;
    for RawText { label: name, text } in &written.value {
        if !labels.iter().any(|label| label.name == name.value) {
            let mut problem = problem(format!("`other` names `{}`, which is no label", name.value));
            problem.help = suggest::help(
                "labels there are",
                &name.value,
                labels.iter().map(|label| label.name.as_str()),
            );
            sink.report(&name.spot, problem);
            is_good = false;
        } else if text.is_empty() {
            let message =
                format!("the label `{}` of `other` is empty, which is no label to Prometheus", name.value);
            sink.report(&name.spot, problem(message).expected("a text such as `other`"));
            is_good = false;
        }
    }
    if is_good && max_series.is_none() {
        let message = "`other` has no effect without `max_series`".to_owned();
        let problem = Problem::warning("unused-key", Place::default(), message);
        sink.report(&written.spot, problem.help("say how many label sets there may be"));
    }
    let text = |label: &LabelSpec| {
        let given = written.value.iter().find(|given| given.label.value == label.name);
        given.map_or_else(|| OTHER.to_owned(), |given| given.text.clone())
    };
    // In the order of the page.
    let mut order: Vec<&LabelSpec> = labels.iter().collect();
    order.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    is_good.then(|| Some(order.into_iter().map(text).collect()))
}

fn max_label_length(sink: &mut Sink<'_>, raw: &RawMetric) -> Option<Option<usize>> {
    let Some(Found { value, spot }) = &raw.max_label_length else { return Some(None) };
    match usize::try_from(*value).ok().filter(|length| *length >= SHORTEST) {
        Some(length) => Some(Some(length)),
        None => {
            let message = "`max_label_length` leaves no room for a character and the mark `…`";
            let problem = Problem::error("bad-limit", Place::default(), message);
            sink.report(spot, problem.expected(format!("{SHORTEST} bytes or more")).found(value.to_string()));
            None
        }
    }
}
