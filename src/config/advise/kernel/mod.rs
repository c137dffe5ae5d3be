//! The kernel that the objects are meant for: what it lacks of what they ask.

mod core;
mod supports;
mod targets;

use std::collections::HashMap;
use std::sync::Arc;

use super::Subject;
use crate::btf::{Kind, TypeId};
use crate::host::KernelTypes;
use crate::problem::{Place, Problem};

/// The types of a kernel, found by their names.
#[derive(Debug)]
pub struct Kernel {
    types: Arc<KernelTypes>,
    /// Whether it was asked for by name: then what it lacks is an error.
    given: bool,
    /// What to call it.
    name: String,
    by_name: HashMap<Box<str>, Vec<TypeId>>,
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
        Self { types, given, name, by_name }
    }

    /// Types of a name, whatever follows `___` in it.
    fn named(&self, name: &str) -> &[TypeId] {
        self.by_name.get(essential(name)).map_or(&[], Vec::as_slice)
    }

    fn has(&self, name: &str, kind: Kind) -> bool {
        let is_of_kind =
            |id: &TypeId| self.types.btf().type_by_id(*id).is_ok_and(|found| found.kind() == kind);
        self.named(name).iter().any(is_of_kind) || self.types.has(name, kind)
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
    let mut problems = supports::advise(subject, kernel);
    problems.extend(targets::advise(subject, kernel));
    problems.extend(core::advise(subject, kernel));
    problems
}

/// A type's name without the flavour that objects put behind `___`.
fn essential(name: &str) -> &str {
    match name.find("___") {
        Some(at) if at > 0 => name.get(..at).unwrap_or(name),
        _ => name,
    }
}
