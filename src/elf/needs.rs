//! The first kernel that can take a program or the whole object.
//!
//! A floor, not a promise: that a kernel has a helper does not say that it lets programs of
//! this type call it, and traced functions come and go.

use super::{ExternKind, Helper, Kernel, MapInfo, ObjectInfo, ProgramInfo, SectionKind, flags_floor};

/// A kernel, and what takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The first kernel.
    pub kernel: Kernel,
    /// What it was the first to have.
    pub why: String,
}

impl MapInfo {
    /// The first kernel that can make it.
    #[must_use]
    pub fn needs(&self) -> Option<Need> {
        let kind = self.kind.floor().map(|kernel| need(kernel, format!("map kind {}", self.kind)));
        let flags = flags_floor(self.flags).map(|kernel| need(kernel, "map flags"));
        newest([kind, flags].into_iter().flatten())
    }
}

impl ProgramInfo {
    /// The first kernel that knows its kind of section.
    #[must_use]
    pub fn section_needs(&self) -> Option<Need> {
        let kind = SectionKind::of(if self.is_filter { "tc" } else { &self.section })?;
        kind.floor.map(|kernel| need(kernel, format!("section {}", kind.prefix())))
    }
}

impl ObjectInfo {
    /// The first kernel that can take a program with what it calls and the maps that it uses.
    #[must_use]
    pub fn program_needs(&self, program: &ProgramInfo) -> Option<Need> {
        let helpers = program.helpers.iter().map(|number| Helper(*number));
        let helpers = helpers.filter_map(|helper| Some(need(helper.floor()?, helper.name())));
        let maps = program.maps.iter().filter_map(|name| self.map(name)?.needs());
        let instructions = program.instruction_floor.map(|(kernel, why)| need(kernel, why));
        let is_called = |name: &str| program.functions.iter().any(|called| called == name);
        let global = self.functions.iter().any(|function| !function.is_static && is_called(&function.name));
        let calls = match (global, program.functions.is_empty()) {
            (true, _) => Some(need(Kernel(5, 6), "global functions")),
            (false, false) => Some(need(Kernel(4, 16), "calls of functions")),
            (false, true) => None,
        };
        // A weak one may be missing: the program asks before it calls.
        let strong = self.wants(ExternKind::KernelFunction);
        let kernel_functions = program.kernel_functions.iter().find(|name| strong.contains(&name.as_str()));
        let kernel_functions =
            kernel_functions.map(|name| need(Kernel(5, 13), format!("kernel function {name}")));
        let single = [program.section_needs(), instructions, calls, kernel_functions];
        newest(single.into_iter().flatten().chain(helpers).chain(maps))
    }

    /// The first kernel that can take the object as it is, without the programs that are switched off.
    #[must_use]
    pub fn needs(&self) -> Option<Need> {
        self.needs_of(self.programs.iter().filter(|program| program.autoload))
    }

    /// The first kernel that can take these programs, and the maps and variables of the object.
    #[must_use]
    pub fn needs_of<'p>(&self, programs: impl Iterator<Item = &'p ProgramInfo>) -> Option<Need> {
        let programs = programs.filter_map(|program| self.program_needs(program));
        let maps = self.maps.iter().filter_map(MapInfo::needs);
        let data = (!self.variables.is_empty()).then(|| need(Kernel(5, 2), "global variables"));
        let typed = !self.wants(ExternKind::KernelVariable).is_empty();
        let typed = typed.then(|| need(Kernel(5, 10), "typed kernel variables"));
        newest(programs.chain(maps).chain(data).chain(typed))
    }
}

fn need(kernel: Kernel, why: impl Into<String>) -> Need {
    Need { kernel, why: why.into() }
}

/// The newest kernel; of equal ones the first that asked for it.
fn newest(needs: impl Iterator<Item = Need>) -> Option<Need> {
    needs.reduce(|newest, next| if next.kernel > newest.kernel { next } else { newest })
}
