//! What became of each program, by the places that it has.

use std::os::fd::OwnedFd;

use crate::problem::Problem;
use crate::snapshot::{ProgramVerdict, Verdict};
use crate::spec::LoadSpec;

use super::attach::{Attached, Target};
use super::exchange::{Attachment, Planned};
use super::object::LoadedObject;
use super::operations::{self, Operations};
use super::programs::{LoadedProgram, ProgramTable};
use super::raw;
use super::select::Selection;

/// A place where a program could not be attached.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) planned: Planned<Target>,
    pub(super) problem: Problem,
}

/// What became of all programs of an object.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) programs: ProgramTable,
    pub(super) verdicts: Vec<ProgramVerdict>,
    /// One for each program that is not where it should be and without which the config is not whole.
    pub(super) problems: Vec<Problem>,
}

pub(super) fn judge(
    spec: &LoadSpec,
    selection: &Selection,
    object: &LoadedObject,
    (attachments, operations): (&[Attachment<Attached, Target>], &Operations),
    failures: &[Failure],
    not_kept: &[(String, String)],
) -> Judged {
    let mut judged = Judged::default();
    let (mut parts, mut optional) = (0, 0);
    judged.programs.iterators = iterators(spec, attachments);
    for program in object.progs() {
        let name = program.name().to_string_lossy().into_owned();
        let Some(descriptor) = raw::program_fd(&program) else {
            judged.verdicts.push(selection.verdict(&name));
            continue;
        };
        let is_part = operations::has(&program);
        let own = attachments.iter().filter(|attachment| attachment.program == name);
        let is_by_section = own.clone().all(|own| matches!(own.place, Target::Section(_)));
        // Of what goes on from before, another one is at work than was loaded now.
        let at_work = own.clone().filter(|own| matches!(own.link, Attached::Pinned { .. }));
        let at_work = at_work.filter_map(|own| own.link.link_fd());
        let at_work = at_work.filter_map(|link| raw::program_of_link(link).ok()).next();
        let places = own.count();
        let failed: Vec<&Failure> =
            failures.iter().filter(|failure| failure.planned.program == name).collect();
        let is_optional = selection.is_optional(&name);
        let (mut verdict, problem) = if is_part {
            (parts, optional) = (parts + 1, optional + usize::from(is_optional));
            (part(&name, operations), None)
        } else {
            one(&name, places, is_by_section, &failed, is_optional)
        };
        let is_attached = verdict.verdict == Verdict::Attached;
        if let Some((_, why)) = not_kept.iter().find(|(program, _)| *program == name) {
            let separator = if verdict.reason.is_empty() { "" } else { "; " };
            verdict.reason.push_str(&format!("{separator}attached anew by each start: {why}"));
        }
        judged.verdicts.push(verdict);
        judged.problems.extend(problem);
        match at_work.map_or_else(|| descriptor.try_clone_to_owned(), Ok) {
            Ok(descriptor) => {
                judged.programs.programs.push(LoadedProgram { name, attached: is_attached, descriptor });
            }
            Err(error) => {
                tracing::warn!(config = spec.name, program = name, %error, "no statistics of it");
            }
        }
    }
    if optional < parts || parts == 0 {
        judged.problems.extend(operations.problems().iter().cloned());
    }
    judged
}

/// Of a program that is attached with others as a whole.
fn part(name: &str, operations: &Operations) -> ProgramVerdict {
    let (verdict, reason) = operations.verdict();
    ProgramVerdict::new(name, verdict, reason).at(operations.count())
}

/// Links of iterators, which scrapes run.
fn iterators(spec: &LoadSpec, attachments: &[Attachment<Attached, Target>]) -> Vec<OwnedFd> {
    let own = |attachment: &Attachment<Attached, Target>| {
        let copy = attachment.link.iterator()?.try_clone_to_owned();
        let refused = |error| {
            let program = &attachment.program;
            tracing::warn!(config = spec.name, program, %error, "scrapes cannot run it");
        };
        copy.map_err(refused).ok()
    };
    attachments.iter().filter_map(own).collect()
}

fn one(
    name: &str,
    places: usize,
    is_by_section: bool,
    failed: &[&Failure],
    is_optional: bool,
) -> (ProgramVerdict, Option<Problem>) {
    let problem = failed.first().map(|first| {
        let mut problem = first.problem.clone();
        if failed.len() > 1 {
            problem.message = format!("{} (and so at {} more)", problem.message, failed.len() - 1);
        }
        problem
    });
    let (verdict, reason) = match (places, &problem) {
        (0, None) => (Verdict::Waiting, "there is no place for it yet".to_owned()),
        (0, Some(problem)) if is_optional => (Verdict::Unsupported, problem.message.clone()),
        (0, Some(problem)) => (Verdict::Broken, problem.message.clone()),
        (_, None) if is_by_section => (Verdict::Attached, String::new()),
        (_, None) => (Verdict::Attached, counted(places)),
        (_, Some(problem)) => (Verdict::Attached, format!("{}; {}", counted(places), problem.message)),
    };
    let verdict = ProgramVerdict::new(name, verdict, reason).at(places);
    (verdict, problem.filter(|_| !is_optional))
}

fn counted(places: usize) -> String {
    if places == 1 { "at 1 place".to_owned() } else { format!("at {places} places") }
}
