//! Names as Prometheus' conventions have them (<https://prometheus.io/docs/practices/naming/>).

use super::Subject;
use crate::problem::{Place, Problem};
use crate::spec::{MetricKind, MetricSpec};

/// Units that are not base ones: what they are called, the base unit, and its factor.
const UNITS: &[(&[&str], &str, &str)] = &[
    (&["milliseconds", "millisecond", "millis", "msec", "msecs", "ms"], "seconds", "1e-3"),
    (&["microseconds", "microsecond", "micros", "usec", "usecs", "us"], "seconds", "1e-6"),
    (&["nanoseconds", "nanosecond", "nanos", "nsec", "nsecs", "ns"], "seconds", "1e-9"),
    (&["minutes", "minute"], "seconds", "60"),
    (&["hours", "hour"], "seconds", "3600"),
    (&["days", "day"], "seconds", "86400"),
    (&["kilobytes", "kilobyte", "kb"], "bytes", "1000"),
    (&["kibibytes", "kibibyte", "kib"], "bytes", "1024"),
    (&["megabytes", "megabyte", "mb"], "bytes", "1e6"),
    (&["mebibytes", "mebibyte", "mib"], "bytes", "1048576"),
    (&["gigabytes", "gigabyte", "gb"], "bytes", "1e9"),
    (&["gibibytes", "gibibyte", "gib"], "bytes", "1073741824"),
    (&["percent", "percents", "percentage"], "ratio", "0.01"),
    (&["millivolts", "millivolt", "mv"], "volts", "1e-3"),
    (&["milliamperes", "milliampere"], "amperes", "1e-3"),
    (&["kilojoules", "kilojoule", "kj"], "joules", "1000"),
    (&["microjoules", "microjoule", "uj"], "joules", "1e-6"),
    (&["milliwatts", "milliwatt", "mw"], "watts", "1e-3"),
];

/// Units cut short, which are base ones.
const SHORT: &[(&[&str], &str)] =
    &[(&["sec", "secs", "s"], "seconds"), (&["byte"], "bytes"), (&["second"], "seconds")];

/// Units of this many letters or fewer mean other things inside of a name (`ns` is a namespace, too).
const ABBREVIATION: usize = 4;

/// What the names of all metrics could be better.
pub(super) fn advise(subject: &Subject<'_>) -> Vec<Problem> {
    subject.metrics().iter().flat_map(metric).collect()
}

fn metric(metric: &MetricSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    let name = metric.name.as_str();
    let words: Vec<&str> = name.split('_').filter(|word| !word.is_empty()).collect();
    let mut warn = |code, message: String, help: String| {
        problems.push(Problem::warning(code, metric.place.clone(), message).help(help));
    };
    let counter = metric.kind == MetricKind::Counter;
    match words.last() {
        Some(&"total") if !counter => {
            let stem = words[..words.len() - 1].join("_");
            warn(
                "total-name",
                format!("`{name}` is no counter, and `_total` is said of counters"),
                format!("call it `{stem}`"),
            );
        }
        Some(&"total") => {}
        Some(suffix @ (&"count" | &"sum" | &"bucket")) => warn(
            "reserved-suffix",
            format!("`{name}` ends like a part of a histogram: `_{suffix}`"),
            if counter {
                "end the name of a counter with `_total`".to_owned()
            } else {
                "end the name with its unit".to_owned()
            },
        ),
        _ if counter => {
            warn(
                "counter-name",
                format!("the counter `{name}` does not end with `_total`"),
                format!("call it `{name}_total`; `map:` keeps the map's name"),
            );
        }
        _ => {}
    }
    if let Some((word, base, factor)) = unit(&words) {
        warn(
            "unit-name",
            format!("`{name}` seems to be in `{word}`, which is no base unit"),
            unit_advice(metric, base, factor),
        );
    }
    if let Some(kind) = words.iter().find(|word| matches!(**word, "counter" | "gauge" | "histogram")) {
        warn(
            "type-name",
            format!("`{name}` names its type, `{kind}`"),
            "leave the type out: the page says it".to_owned(),
        );
    }
    if name.contains(|letter: char| letter.is_ascii_uppercase()) {
        warn("name-case", format!("`{name}` has capital letters"), format!("call it `{}`", snake(name)));
    }
    if name.contains(':') {
        warn(
            "name-colon",
            format!("`{name}` has a colon, which is for recording rules"),
            "put `_` in its place".to_owned(),
        );
    }
    problems.extend(metric_labels(metric));
    problems
}

fn metric_labels(metric: &MetricSpec) -> Vec<Problem> {
    let mut problems = Vec::new();
    for label in &metric.labels {
        let name = &label.name;
        let mut warn = |code, message: String, help: String| {
            let (path, position) = (label.path.clone(), label.position);
            let place = Place { path, position, ..metric.place.clone() };
            problems.push(Problem::warning(code, place, message).help(help));
        };
        if matches!(name.as_str(), "job" | "instance") {
            let message = format!("the label `{name}` is one that Prometheus gives to every series itself");
            warn("target-label", message, format!("rename it: it would become `exported_{name}`"));
        }
        if name.contains(|letter: char| letter.is_ascii_uppercase()) {
            warn(
                "name-case",
                format!("the label `{name}` has capital letters"),
                format!("call it `{}`", snake(name)),
            );
        }
    }
    problems
}

/// The unit of a name that should be another: short ones count at the end alone.
fn unit<'w>(words: &[&'w str]) -> Option<(&'w str, &'static str, &'static str)> {
    let stem = match words {
        [stem @ .., "total"] => stem,
        words => words,
    };
    let last = stem.len().checked_sub(1)?;
    stem.iter().enumerate().find_map(|(index, word)| {
        if word.len() <= ABBREVIATION && (index != last || index == 0) {
            return None;
        }
        let lower = word.to_ascii_lowercase();
        let scaled = UNITS.iter().find(|(names, ..)| names.contains(&lower.as_str()));
        if let Some((_, base, factor)) = scaled {
            return Some((*word, *base, *factor));
        }
        let short = SHORT.iter().find(|(names, _)| index == last && names.contains(&lower.as_str()));
        short.map(|(_, base)| (*word, *base, ""))
    })
}

fn unit_advice(metric: &MetricSpec, base: &str, factor: &str) -> String {
    let scale = match metric.kind {
        MetricKind::Histogram(_) => "bucket_multiplier",
        MetricKind::Counter | MetricKind::Gauge => "scale",
    };
    if factor.is_empty() {
        return format!("write the unit out: `{base}`");
    }
    format!("publish `{base}`, with `{scale}: {factor}` where the program counts otherwise")
}

fn snake(name: &str) -> String {
    let mut out = String::new();
    let mut before_is_lower = false;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && before_is_lower {
            out.push('_');
        }
        before_is_lower = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        out.push(letter.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[track_caller]
    fn check(kind: MetricKind, name: &str, labels: &[&str], expected: &[&str]) {
        let found = metric(&sample::metric(kind, name, labels));
        let codes: Vec<&str> = found.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, expected, "{name}: {found:#?}");
        assert!(found.iter().all(|problem| problem.help.is_some() && !problem.is_error()));
    }

    #[test]
    fn good_names_are_left_alone() {
        for name in ["requests_total", "cpu_seconds_total", "ns_switches_total", "us_total"] {
            check(MetricKind::Counter, name, &["comm"], &[]);
        }
        check(MetricKind::Gauge, "run_queue_tasks", &["cpu"], &[]);
        check(MetricKind::Gauge, "bytes", &[], &[]);
        check(sample::histogram(), "latency_seconds", &["device"], &[]);
    }

    #[test]
    fn others_are_told() {
        check(MetricKind::Counter, "requests", &[], &["counter-name"]);
        check(MetricKind::Counter, "requests_count", &[], &["reserved-suffix"]);
        check(MetricKind::Gauge, "tasks_total", &[], &["total-name"]);
        check(MetricKind::Gauge, "tasks_gauge", &[], &["type-name"]);
        check(MetricKind::Counter, "cpu_ns_total", &[], &["unit-name"]);
        check(MetricKind::Counter, "cpu_nanoseconds_total", &[], &["unit-name"]);
        check(sample::histogram(), "latency_us", &[], &["unit-name"]);
        check(sample::histogram(), "latency_sec", &[], &["unit-name"]);
        check(MetricKind::Gauge, "usage_percent", &[], &["unit-name"]);
        check(MetricKind::Counter, "diskReads_total", &[], &["name-case"]);
        check(MetricKind::Gauge, "a:b", &[], &["name-colon"]);
        check(MetricKind::Gauge, "tasks", &["job", "userName", "comm"], &["target-label", "name-case"]);
    }

    #[test]
    fn capitals_become_words() {
        for (name, expected) in
            [("diskReads", "disk_reads"), ("HTTPRequests", "httprequests"), ("a1B_C", "a1_b_c")]
        {
            assert_eq!(snake(name), expected);
        }
    }
}
