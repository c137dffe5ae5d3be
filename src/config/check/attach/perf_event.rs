//! `attach: {perf_event: {event: ..., frequency: ...}}`

use super::{Subject, missing, wrong};
use crate::config::check::Sink;
use crate::config::suggest;
use crate::problem::{Place, Problem};
use crate::spec::{PerfEvent, Sample};

/// Types of `perf_event_open(2)`.
const HARDWARE: u32 = 0;
const SOFTWARE: u32 = 1;

/// Events by the names that perf(1) has for them.
const EVENTS: &[(&str, u32, u64)] = &[
    ("cpu-cycles", HARDWARE, 0),
    ("cycles", HARDWARE, 0),
    ("instructions", HARDWARE, 1),
    ("cache-references", HARDWARE, 2),
    ("cache-misses", HARDWARE, 3),
    ("branch-instructions", HARDWARE, 4),
    ("branches", HARDWARE, 4),
    ("branch-misses", HARDWARE, 5),
    ("bus-cycles", HARDWARE, 6),
    ("stalled-cycles-frontend", HARDWARE, 7),
    ("stalled-cycles-backend", HARDWARE, 8),
    ("ref-cycles", HARDWARE, 9),
    ("cpu-clock", SOFTWARE, 0),
    ("task-clock", SOFTWARE, 1),
    ("page-faults", SOFTWARE, 2),
    ("faults", SOFTWARE, 2),
    ("context-switches", SOFTWARE, 3),
    ("cs", SOFTWARE, 3),
    ("cpu-migrations", SOFTWARE, 4),
    ("migrations", SOFTWARE, 4),
    ("minor-faults", SOFTWARE, 5),
    ("page-faults-min", SOFTWARE, 5),
    ("major-faults", SOFTWARE, 6),
    ("page-faults-maj", SOFTWARE, 6),
    ("alignment-faults", SOFTWARE, 7),
    ("emulation-faults", SOFTWARE, 8),
    ("cgroup-switches", SOFTWARE, 11),
];

pub(super) fn check(sink: &mut Sink<'_>, subject: &Subject<'_>) -> Option<PerfEvent> {
    let event = event(sink, subject);
    let sample = sample(sink, subject);
    let (kind, config) = event?;
    Some(PerfEvent { kind, config, sample: sample? })
}

fn event(sink: &mut Sink<'_>, subject: &Subject<'_>) -> Option<(u32, u64)> {
    let (name, kind, config) =
        (subject.kind.text("event"), subject.kind.integer("type"), subject.kind.integer("config"));
    match (name, kind, config) {
        (Some(name), None, None) => {
            if let Some((_, kind, config)) = EVENTS.iter().find(|(known, ..)| *known == name.value) {
                return Some((*kind, *config));
            }
            let message = format!("`{}` is no event that is known here by a name", name.value);
            let mut problem = Problem::error("attach-option", Place::default(), message)
                .expected("a name of `perf list` such as cpu-clock, or `type` and `config` as numbers");
            problem.help = suggest::closest(&name.value, EVENTS.iter().map(|(known, ..)| *known))
                .map(|name| format!("did you mean `{name}`?"));
            sink.report(&name.spot, problem);
            None
        }
        (Some(_), ..) => {
            wrong(sink, subject, "event", "either `event`, or `type` and `config`", "both");
            None
        }
        (None, Some(kind), Some(config)) => {
            let number = u32::try_from(kind.value);
            if number.is_err() {
                wrong(sink, subject, "type", "a number of 32 bits, 0 or more", &kind.value.to_string());
            }
            let config = config.value.try_into();
            if config.is_err() {
                wrong(sink, subject, "config", "a number, 0 or more", "a negative one");
            }
            number.ok().zip(config.ok())
        }
        (None, ..) => {
            missing(
                sink,
                subject,
                "event",
                "its name such as cpu-clock, or both `type` and `config` as numbers",
            );
            None
        }
    }
}

fn sample(sink: &mut Sink<'_>, subject: &Subject<'_>) -> Option<Sample> {
    let expected = "how often it runs: `frequency` times in a second, or once for `period` events";
    let (option, value, make): (_, _, fn(u64) -> Sample) =
        match (subject.kind.integer("frequency"), subject.kind.integer("period")) {
            (Some(frequency), None) => ("frequency", frequency, Sample::Frequency),
            (None, Some(period)) => ("period", period, Sample::Period),
            (Some(_), Some(_)) => {
                wrong(sink, subject, "frequency", "either `frequency` or `period`", "both");
                return None;
            }
            (None, None) => {
                missing(sink, subject, "frequency", expected);
                return None;
            }
        };
    match u64::try_from(value.value) {
        Ok(number) if number > 0 => Some(make(number)),
        _ => {
            wrong(sink, subject, option, "1 or more", &value.value.to_string());
            None
        }
    }
}
