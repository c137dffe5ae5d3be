//! The kernel that the objects are meant for: what it lacks of what they ask.

mod core;
mod options;
mod supports;
mod targets;

use std::collections::HashMap;
use std::sync::Arc;

use super::Subject;
use super::roles::Roles;
use crate::btf::{Kind, TypeId};
use crate::elf::ProgramInfo;
use crate::host::{KernelBuild, KernelTypes};
use crate::problem::{Place, Problem, Severity};

/// The types of a kernel, found by their names.
#[derive(Debug)]
pub struct Kernel {
    types: Arc<KernelTypes>,
    /// Whether it was asked for by name: then what it lacks is an error.
    given: bool,
    /// What to call it.
    name: String,
    by_name: HashMap<Box<str>, Vec<TypeId>>,
    built: Option<Built>,
}

/// What the kernel was built with.
#[derive(Debug)]
struct Built {
    build: KernelBuild,
    /// Whether its configuration was named: then what it lacks is an error.
    given: bool,
    /// What to call the kernel.
    name: String,
}

impl Kernel {
    /// The kernel that has these types. `name` is what to call it; `given` says that it was asked for.
    #[must_use]
    pub fn new(types: Arc<KernelTypes>, name: String, given: bool) -> Self {
        let mut by_name: HashMap<Box<str>, Vec<TypeId>> = HashMap::new();
        let btf = types.btf();
        for id in btf.ids() {
            let Ok(found) = btf.type_by_id(id) else { continue };
            if !found.name().is_empty() {
                by_name.entry(essential(found.name()).into()).or_default().push(id);
            }
        }
        Self { types, given, name, by_name, built: None }
    }

    /// The same with what it was built with. `name` is what to call the kernel; `given` says that its configuration was
    /// asked for.
    #[must_use]
    pub fn built(self, build: KernelBuild, name: String, given: bool) -> Self {
        Self { built: Some(Built { build, given, name }), ..self }
    }

    /// Types of a name, whatever follows `___` in it.
    fn named(&self, name: &str) -> &[TypeId] {
        self.by_name.get(essential(name)).map_or(&[], Vec::as_slice)
    }

    /// Whether it, or a module that is loaded, has a type. The index holds all of the kernel's own.
    fn has(&self, name: &str, kind: Kind) -> bool {
        let is_of_kind =
            |id: &TypeId| self.types.btf().type_by_id(*id).is_ok_and(|found| found.kind() == kind);
        self.named(name).iter().any(is_of_kind) || self.types.modules_have(name, kind)
    }

    /// The values of an enum; none when the kernel's types do not have it.
    fn enumerators(&self, name: &str) -> Option<Vec<(&str, i128)>> {
        let found = self.named(name).iter().filter_map(|id| self.types.btf().type_by_id(*id).ok());
        let found = found.into_iter().find(|found| found.kind().is_enum())?;
        Some(found.enumerators().map(|named| (named.name, named.value)).collect())
    }

    /// A problem of what it lacks: an error when it was asked for, because the object will not load there.
    fn lacks(&self, code: &'static str, place: Place, message: String) -> Problem {
        if self.given { Problem::error(code, place, message) } else { Problem::warning(code, place, message) }
    }
}

/// What the kernel lacks; nothing where it is not known.
pub(super) fn advise(subject: &Subject<'_>) -> Vec<Problem> {
    let Some(kernel) = subject.kernel else { return Vec::new() };
    let roles = Roles::of(subject);
    let mut problems = of_programs(subject, kernel, &roles.required);
    let found_with = |programs: &[&ProgramInfo]| {
        let mut found = of_programs(subject, kernel, programs);
        found.retain(|problem| !problems.contains(problem));
        found
    };
    let mut more = Vec::new();
    for program in &roles.optional {
        let found = found_with(&[program]);
        more.extend(found.into_iter().map(|problem| does_without(problem, "the program is optional")));
    }
    for choice in &roles.choices {
        let found: Vec<Vec<Problem>> = choice.programs.iter().map(|program| found_with(&[program])).collect();
        let possible = found.iter().position(Vec::is_empty).and_then(|index| choice.programs.get(index));
        let instead = match possible {
            Some(program) => Some(format!("`{}` is loaded in its place", program.name)),
            None => choice.is_optional.then(|| "the program is optional".to_owned()),
        };
        more.extend(found.into_iter().flatten().map(|problem| match &instead {
            Some(instead) => does_without(problem, instead),
            None => problem,
        }));
    }
    problems.extend(more);
    problems
}

/// What the kernel lacks of what the object and some of its programs ask.
fn of_programs(subject: &Subject<'_>, kernel: &Kernel, programs: &[&ProgramInfo]) -> Vec<Problem> {
    // Where a hook cannot be, nothing else that it wants is worth a word.
    let (mut problems, whole) = options::advise(subject, kernel, programs);
    problems.extend(supports::advise(subject, kernel, &whole));
    problems.extend(targets::advise(subject, kernel, &whole));
    problems.extend(core::advise(subject, kernel, programs));
    problems
}

/// What is missing and costs nothing.
fn does_without(problem: Problem, why: &str) -> Problem {
    Problem { severity: Severity::Note, ..problem }.help(format!("nothing: {why}"))
}

/// A type's name without the flavour that objects put behind `___`.
fn essential(name: &str) -> &str {
    match name.find("___") {
        Some(at) if at > 0 => name.get(..at).unwrap_or(name),
        _ => name,
    }
}
