//! What is wrong with the object as it is.

use super::Subject;
use crate::problem::{Place, Problem};

pub(super) fn advise(subject: &Subject<'_>) -> Vec<Problem> {
    // Whether a map can be a metric is said of the metrics that want one.
    let findings = subject.info.findings().into_iter().filter(|problem| {
        let is_placed = matches!(problem.code, "not-attachable" | "no-target") && is_placed(subject, problem);
        problem.code != "no-metric-map" && !is_placed
    });
    let placed = findings.map(|mut problem| {
        let (map, program) = (problem.place.map.take(), problem.place.program.take());
        problem.place = Place { map, program, ..subject.object_place() };
        problem
    });
    placed.collect()
}

/// Whether the config says where the program is attached that a problem is of.
fn is_placed(subject: &Subject<'_>, problem: &Problem) -> bool {
    let settings = subject.spec.map_or(&[][..], |spec| &spec.load.programs);
    let is_its_own = |name: &String| settings.iter().any(|set| set.name == *name && set.attach.is_some());
    problem.place.program.as_ref().is_some_and(is_its_own)
}
