//! What is wrong with the object as it is.

use super::Subject;
use crate::problem::{Place, Problem};

pub(super) fn advise(subject: &Subject<'_>) -> Vec<Problem> {
    // Whether a map can be a metric is said of the metrics that want one.
    let findings = subject.info.findings().into_iter().filter(|problem| problem.code != "no-metric-map");
    // The config may say it where the section does not.
    let attached = |name: &str| {
        let settings = subject.spec.iter().flat_map(|spec| &spec.load.programs);
        settings.into_iter().any(|setting| setting.name == name && setting.cgroup.is_some())
    };
    let findings = findings.filter(|problem| {
        let is_elsewhere = problem.place.program.as_deref().is_some_and(attached);
        problem.code != "not-attachable" || !is_elsewhere
    });
    let placed = findings.map(|mut problem| {
        let (map, program) = (problem.place.map.take(), problem.place.program.take());
        problem.place = Place { map, program, ..subject.object_place() };
        problem
    });
    placed.collect()
}
