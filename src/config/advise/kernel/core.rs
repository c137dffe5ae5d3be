//! CO-RE relocations against the kernel's types, as libbpf resolves them.
//!
//! What the object itself asks for (`bpf_core_field_exists` and its like) may be missing, and
//! so may all that is of the same type: the program knows that it is not the same everywhere.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{Kernel, Subject, essential};
use crate::btf::{Btf, Field, Kind, Type, TypeId};
use crate::config::suggest;
use crate::elf::{CoreRelocation, ExternKind, ObjectInfo, ProgramInfo};
use crate::problem::{Problem, Severity};

const OTHER_REGISTERS: &str = "these are registers of another architecture: read them by bpftally's registers.bpf.h, which knows \
     both, or compile the object for each, as x.x86_64.bpf.o and x.aarch64.bpf.o (docs/machines.md)";

/// How deep anonymous members, arrays and references are followed.
const MAX_DEPTH: usize = 32;

pub(super) fn advise(subject: &Subject<'_>, kernel: &Kernel, programs: &[&ProgramInfo]) -> Vec<Problem> {
    let info = subject.info;
    let Ok(relocations) = &info.core_relocations else { return Vec::new() };
    let asked = asked(info);
    let used = used_functions(programs);
    // The same member is read in many places: it is told once.
    let mut missing: BTreeMap<String, (Missing, BTreeSet<&str>)> = BTreeMap::new();
    for relocation in relocations {
        let is_used = relocation.function.is_empty() || used.contains(relocation.function.as_str());
        if relocation.kind.asks_whether() || !is_used {
            continue;
        }
        let Ok(path) = relocation.path(&info.btf) else { continue };
        if asked.contains(path.kernel_type()) {
            continue;
        }
        if let Some(found) = look(&info.btf, kernel, relocation, path.kernel_type()) {
            // Of a type that is missing as a whole it says nothing which member was wanted.
            let name = match found.what {
                What::Type => path.kernel_type().to_owned(),
                What::Member | What::Enumerator => format!("{}{}", path.kernel_type(), path.steps),
            };
            let of = missing.entry(name);
            of.or_insert_with(|| (found, BTreeSet::new())).1.insert(relocation.function.as_str());
        }
    }
    missing
        .into_iter()
        .map(|(path, (missing, functions))| problem(subject, kernel, &path, &missing, &functions))
        .collect()
}

/// The types that the object asks for, by the names that the kernel has for them.
pub(super) fn asked(info: &ObjectInfo) -> BTreeSet<String> {
    let Ok(relocations) = &info.core_relocations else { return BTreeSet::new() };
    let asking = relocations.iter().filter(|relocation| relocation.kind.asks_whether());
    asking.filter_map(|relocation| Some(relocation.path(&info.btf).ok()?.kernel_type().to_owned())).collect()
}

/// Programs that are loaded, and what they call.
fn used_functions<'p>(programs: &[&'p ProgramInfo]) -> BTreeSet<&'p str> {
    programs
        .iter()
        .flat_map(|program| std::iter::once(&program.name).chain(&program.functions))
        .map(String::as_str)
        .collect()
}

/// What is not there.
struct Missing {
    what: What,
    /// Names that are there in its place.
    known: Vec<String>,
    /// The name that was looked for.
    name: String,
}

enum What {
    Type,
    Member,
    Enumerator,
}

fn problem(
    subject: &Subject<'_>,
    kernel: &Kernel,
    path: &str,
    missing: &Missing,
    functions: &BTreeSet<&str>,
) -> Problem {
    let functions: Vec<String> = functions.iter().map(|function| format!("`{function}`")).collect();
    let (code, what, guard) = match missing.what {
        What::Type => ("core-type", "the type", "bpf_core_type_exists()"),
        What::Member => ("core-field", "the member", "bpf_core_field_exists()"),
        What::Enumerator => ("core-enumerator", "the name", "bpf_core_enum_value_exists()"),
    };
    let message =
        format!("{} does not have {what} `{path}`, which {} needs", kernel.name, functions.join(", "));
    let place = subject.object_place();
    let mut problem = kernel.lacks(code, place, message);
    // With the kernel's version or options at hand, the program may know what it does.
    if subject.info.externs.iter().any(|wanted| wanted.kind == ExternKind::Kconfig) {
        problem.severity = Severity::Warning;
    }
    let close = suggest::closest(&missing.name, missing.known.iter().map(String::as_str));
    let advice = match is_of_registers(path) {
        true => OTHER_REGISTERS.to_owned(),
        false => format!("ask {guard} before it is used, or use an object made for this kernel"),
    };
    problem.help(match close {
        Some(name) => format!("did you mean `{name}`? Else {advice}"),
        None => advice,
    })
}

/// Registers are called otherwise on each architecture.
fn is_of_registers(path: &str) -> bool {
    let name = path.split(['.', '[']).next().unwrap_or_default();
    matches!(name, "pt_regs" | "user_pt_regs")
}

/// Whether the kernel has what a relocation asks; what is missing, when it has not.
fn look(local: &Btf, kernel: &Kernel, relocation: &CoreRelocation, name: &str) -> Option<Missing> {
    if relocation.kind.name() == "local_type_id" {
        return None;
    }
    let root = unqualified(local, relocation.type_id)?;
    let candidates: Vec<Type<'_>> = kernel
        .named(name)
        .iter()
        .filter_map(|id| kernel.types.btf().type_by_id(*id).ok())
        .filter(|found| same_kind(root.kind(), found.kind()))
        .collect();
    if candidates.is_empty() {
        // A type of a module is there, but not at hand.
        let in_module = kernel.types.has(name, root.kind());
        return (!in_module).then(|| Missing { what: What::Type, known: Vec::new(), name: name.to_owned() });
    }
    if relocation.kind.is_of_enumerator() {
        let index = *relocation.access.first()? as usize;
        let wanted = local.resolve(relocation.type_id).ok()?.enumerators().nth(index)?.name;
        let known: Vec<String> = candidates
            .iter()
            .filter_map(|found| kernel.types.btf().resolve(found.id()).ok())
            .flat_map(|found| found.enumerators().map(|named| named.name.to_owned()).collect::<Vec<_>>())
            .collect();
        let is_there = known.iter().any(|known| essential(known) == essential(wanted));
        return (!is_there).then(|| Missing { what: What::Enumerator, known, name: wanted.to_owned() });
    }
    if !relocation.kind.is_of_field() {
        return None;
    }
    let way = way(local, relocation)?;
    let mut first = None;
    for candidate in &candidates {
        match follow(local, kernel.types.btf(), candidate.id(), &way) {
            Ok(()) => return None,
            Err(missing) => first = first.or(Some(missing)),
        }
    }
    first
}

/// A step of the way to a member.
enum Step<'a> {
    Member { name: &'a str, type_id: TypeId },
    Element(u32),
}

/// The named steps of a relocation; none when the object's own types do not have them.
fn way<'a>(local: &'a Btf, relocation: &CoreRelocation) -> Option<Vec<Step<'a>>> {
    let mut steps = Vec::new();
    let mut current = local.resolve(relocation.type_id).ok()?;
    for number in relocation.access.iter().skip(1) {
        if current.kind() == Kind::Array {
            steps.push(Step::Element(*number));
            current = local.resolve(current.target()).ok()?;
            continue;
        }
        let field = current.fields().nth(*number as usize)?;
        // The kernel may have its anonymous structs elsewhere: C's names alone count.
        if !field.name.is_empty() {
            steps.push(Step::Member { name: field.name, type_id: field.type_id });
        }
        current = local.resolve(field.type_id).ok()?;
    }
    Some(steps)
}

fn follow(local: &Btf, kernel: &Btf, root: TypeId, way: &[Step<'_>]) -> Result<(), Missing> {
    let mut current = root;
    for step in way {
        let Ok(within) = kernel.resolve(current) else { return Ok(()) };
        current = match step {
            Step::Member { name, type_id } => {
                let found =
                    member(kernel, &within, name).filter(|found| alike(local, *type_id, kernel, *found, 0));
                found.ok_or_else(|| Missing {
                    what: What::Member,
                    known: members(kernel, &within),
                    name: (*name).to_owned(),
                })?
            }
            Step::Element(index) => {
                // An array without a length, at the end of a struct, has any.
                let fits = within.kind() == Kind::Array
                    && (within.element_count() == 0 || *index < within.element_count());
                if !fits {
                    return Err(Missing {
                        what: What::Member,
                        known: Vec::new(),
                        name: format!("[{index}]"),
                    });
                }
                within.target()
            }
        };
    }
    Ok(())
}

/// A member's type, also in anonymous members.
fn member(btf: &Btf, within: &Type<'_>, name: &str) -> Option<TypeId> {
    walk(btf, within, &mut HashSet::new(), 0, &mut |field| (field.name == name).then_some(field.type_id))
}

fn members(btf: &Btf, within: &Type<'_>) -> Vec<String> {
    let mut names = Vec::new();
    walk(btf, within, &mut HashSet::new(), 0, &mut |field| -> Option<()> {
        names.push(field.name.to_owned());
        None
    });
    names
}

/// Looks at each member that has a name until something is found. No type is looked into twice, because
/// one that holds itself two times would never end.
fn walk<'b, T>(
    btf: &'b Btf,
    within: &Type<'b>,
    seen: &mut HashSet<TypeId>,
    depth: usize,
    look: &mut impl FnMut(&Field<'b>) -> Option<T>,
) -> Option<T> {
    within.fields().find_map(|field| {
        if !field.name.is_empty() {
            return look(&field);
        }
        let inner = btf.resolve(field.type_id).ok()?;
        let is_new = depth < MAX_DEPTH && seen.insert(inner.id());
        if is_new { walk(btf, &inner, seen, depth + 1, look) } else { None }
    })
}

/// Whether two members can be the same one (`bpf_core_fields_are_compat` of libbpf).
fn alike(local: &Btf, one: TypeId, kernel: &Btf, other: TypeId, depth: usize) -> bool {
    let (Ok(one), Ok(other)) = (local.resolve(one), kernel.resolve(other)) else { return true };
    if one.kind().is_aggregate() && other.kind().is_aggregate() {
        return true;
    }
    if !same_kind(one.kind(), other.kind()) {
        return false;
    }
    match one.kind() {
        Kind::Enum | Kind::Enum64 | Kind::Fwd => {
            let (one, other) = (essential(one.name()), essential(other.name()));
            one.is_empty() || other.is_empty() || one == other
        }
        Kind::Array => depth >= MAX_DEPTH || alike(local, one.target(), kernel, other.target(), depth + 1),
        _ => true,
    }
}

fn same_kind(one: Kind, other: Kind) -> bool {
    one == other || (one.is_enum() && other.is_enum())
}

/// A type behind its qualifiers; a typedef stays one, because its name is what is looked for.
fn unqualified(btf: &Btf, id: TypeId) -> Option<Type<'_>> {
    let mut current = btf.type_by_id(id).ok()?;
    for _ in 0..MAX_DEPTH {
        if !matches!(current.kind(), Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag) {
            return Some(current);
        }
        current = btf.type_by_id(current.target()).ok()?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::sample::Sample;

    #[test]
    fn a_type_that_holds_itself_is_looked_through_once() {
        let mut sample = Sample::new(false);
        let (first, last) = (sample.name("first"), sample.name("last"));
        sample.integer("int", 4, 1);
        sample.record("itself", 4, 4, 4, &[first, 1, 0, 0, 2, 0, 0, 2, 0, last, 1, 0]);
        let btf = Btf::parse(&sample.bytes()).unwrap();
        let itself = btf.type_by_id(TypeId(2)).unwrap();
        assert_eq!(member(&btf, &itself, "last"), Some(TypeId(1)));
        assert_eq!(member(&btf, &itself, "none"), None);
        assert_eq!(members(&btf, &itself), ["first", "first", "last", "last"]);
    }
}
