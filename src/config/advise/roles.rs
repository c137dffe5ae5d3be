//! Which programs a config cannot do without: the others may be missing on a kernel.

use super::Subject;
use crate::elf::{Kernel, Need, ProgramInfo};

/// The programs that are loaded where that is possible.
pub(super) struct Roles<'a> {
    /// Those without which the config is not served.
    pub(super) required: Vec<&'a ProgramInfo>,
    /// Those that may be missing.
    pub(super) optional: Vec<&'a ProgramInfo>,
    /// Those of which one is loaded.
    pub(super) choices: Vec<Choice<'a>>,
}

/// Alternatives, the best one first.
pub(super) struct Choice<'a> {
    pub(super) programs: Vec<&'a ProgramInfo>,
    /// Whether the config is whole without any of them.
    pub(super) is_optional: bool,
}

impl<'a> Roles<'a> {
    pub(super) fn of(subject: &Subject<'a>) -> Self {
        let load = subject.spec.map(|spec| &spec.load);
        let is_optional = |name: &str| {
            load.is_some_and(|load| load.programs.iter().any(|set| set.name == name && set.optional))
        };
        let on = || subject.info.programs.iter().filter(|program| program.autoload);
        let chosen: &[Vec<String>] = load.map_or(&[], |load| &load.choices);
        let choices = chosen.iter().map(|names| {
            let program = |name: &String| on().find(|program| program.name == *name);
            let programs: Vec<&ProgramInfo> = names.iter().filter_map(program).collect();
            // The last one is given up only where nothing else has to take its place.
            let is_optional = programs.last().is_none_or(|last| is_optional(&last.name));
            Choice { programs, is_optional }
        });
        let is_chosen = |program: &&ProgramInfo| chosen.iter().flatten().any(|name| *name == program.name);
        let (optional, required) =
            on().filter(|program| !is_chosen(program)).partition(|program| is_optional(&program.name));
        Self { required, optional, choices: choices.collect() }
    }

    /// The first kernel that takes what the config cannot do without: of alternatives the oldest counts.
    pub(super) fn floor(&self, subject: &Subject<'_>) -> Option<Kernel> {
        let info = subject.info;
        let required = info.needs_of(self.required.iter().copied()).map(|need| need.kernel);
        let needed = self.choices.iter().filter(|choice| !choice.is_optional);
        let oldest = needed.filter_map(|choice| {
            let kernels = choice.programs.iter().map(|program| kernel(info.program_needs(program)));
            // One without a need of its own is taken by every kernel.
            kernels.min().flatten()
        });
        required.into_iter().chain(oldest).max()
    }

    /// Why a program may be missing; none when it may not.
    pub(super) fn may_be_missing(&self, program: &ProgramInfo) -> Option<&'static str> {
        let is_it = |other: &&ProgramInfo| other.name == program.name;
        if self.optional.iter().any(is_it) {
            return Some("optional");
        }
        let choice = self.choices.iter().find(|choice| choice.programs.iter().any(is_it))?;
        match choice.programs.len() {
            1 if !choice.is_optional => None,
            1 => Some("optional"),
            _ => Some("one of several"),
        }
    }
}

fn kernel(need: Option<Need>) -> Option<Kernel> {
    need.map(|need| need.kernel)
}
