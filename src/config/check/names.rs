//! Names of metrics and labels, and helps.

use std::collections::HashSet;

use super::{Sink, spot_of, was_refused};
use crate::config::raw::{Found, Group, RawMetric};
use crate::problem::{Place, Problem};

/// The family's full name.
pub(super) fn family(sink: &mut Sink<'_>, namespace: &str, raw: &RawMetric) -> Option<String> {
    let spot = spot_of(raw.name.as_ref(), raw);
    let Some(name) = text(raw.name.as_ref()) else {
        if was_refused(raw.name.as_ref(), raw, "name") {
            return None;
        }
        sink.report(
            spot,
            Problem::error(
                "missing-name",
                Place::default(),
                format!("a {} without a `name`", raw.group.noun()),
            )
            .expected("`name`, which is also the name of the map unless `map` says another"),
        );
        return None;
    };
    let family = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}_{name}") };
    if !is_metric_name(&family) {
        sink.report(
            spot,
            Problem::error(
                "invalid-metric-name",
                Place::default(),
                format!("{family:?} is not a metric name"),
            )
            .expected("letters, digits, `_` and `:`, not starting with a digit")
            .found(format!("{name:?}"))
            .help("another name can read the same map with `map:`"),
        );
        return None;
    }
    Some(family)
}

/// The help, which Prometheus' users read.
pub(super) fn help(sink: &mut Sink<'_>, raw: &RawMetric) -> Option<String> {
    let found = text(raw.help.as_ref()).map(str::to_owned);
    if found.is_none() && !was_refused(raw.help.as_ref(), raw, "help") {
        sink.report(
            spot_of(raw.help.as_ref(), raw),
            Problem::error(
                "missing-help",
                Place::default(),
                format!("a {} without a `help`", raw.group.noun()),
            )
            .expected("`help`, one line that says what is counted"),
        );
    }
    found
}

/// Names of labels. A histogram's last one is its slot, whose name nobody sees.
pub(super) fn labels(sink: &mut Sink<'_>, raw: &RawMetric) {
    let slots = usize::from(raw.slot_is_label());
    let mut given = HashSet::new();
    let seen = &raw.labels[..raw.labels.len().saturating_sub(slots)];
    for label in seen {
        let spot = label.name.as_ref().map_or(&label.spot, |name| &name.spot);
        let Some(name) = text(label.name.as_ref()) else {
            if label.broken {
                continue;
            }
            let problem = Problem::error("missing-name", Place::default(), "a label without a `name`");
            sink.report(spot, problem.expected("`name`"));
            continue;
        };
        if !is_label_name(name) {
            let message = format!("{name:?} is not a label name");
            let mut problem = Problem::error("invalid-label-name", Place::default(), message)
                .expected("letters, digits and `_`, not starting with a digit");
            if raw.is_by_name() && label.field.is_none() && name.contains(['.', '[']) {
                problem = problem.help(format!("{{name: ..., field: {name:?}}}"));
            }
            sink.report(spot, problem);
        } else if name.starts_with("__") || (name == "le" && raw.group == Group::Histograms) {
            sink.report(
                spot,
                Problem::error("reserved-label", Place::default(), format!("the label `{name}` is reserved"))
                    .help("Prometheus gives `le` and names that start with `__` a meaning of their own: rename it"),
            );
        }
        if !given.insert(name) {
            sink.error(spot, "duplicate-label", format!("the label `{name}` is given twice"));
        }
    }
}

/// The namespace of a config: what `namespace:` says, else the command line's.
pub(crate) fn namespace(sink: &mut Sink<'_>, own: Option<&Found<String>>, default: &str) -> Option<String> {
    let Some(own) = own else { return Some(default.to_owned()) };
    if !is_namespace(&own.value) {
        sink.report(
            &own.spot,
            Problem::error("invalid-namespace", Place::default(), "`namespace` cannot begin a metric name")
                .expected("letters, digits and `_`, not starting with a digit, or \"\" for no prefix")
                .found(format!("{:?}", own.value)),
        );
        return None;
    }
    Some(own.value.clone())
}

/// Whether a text can be a namespace: the beginning of a metric name, or empty for none.
#[must_use]
pub fn is_namespace(text: &str) -> bool {
    text.is_empty() || is_metric_name(text)
}

fn text(found: Option<&Found<String>>) -> Option<&str> {
    found.map(|found| found.value.as_str()).filter(|text| !text.is_empty())
}

fn is_metric_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
    !name.starts_with(|first: char| first.is_ascii_digit()) && !name.is_empty() && name.bytes().all(fits)
}

pub(super) fn is_label_name(name: &str) -> bool {
    is_metric_name(name) && !name.contains(':')
}
