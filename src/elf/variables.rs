//! Global variables, and what the object wants from the kernel.

use std::collections::{HashMap, HashSet};

use super::file::{File, Section, Symbol};
use super::{ElfError, Extern, ExternKind, Variable};
use crate::btf::{Btf, BtfError, Kind, SectionVariable, Type};

const STATIC: u32 = 0;

/// Variables of the sections that libbpf makes maps of, in the order of sections and offsets.
pub(super) fn variables(file: &File<'_>, btf: &Btf) -> Result<Vec<Variable>, ElfError> {
    let symbols = file.symbols.iter().filter(|symbol| symbol.is_variable && !symbol.is_local);
    let places: HashMap<&str, &Symbol<'_>> = symbols.map(|symbol| (symbol.name, symbol)).collect();
    let mut found = Vec::new();
    for described in sections(btf) {
        let Some(section) = file.section(described.name()).filter(|section| holds_data(section.name)) else {
            continue;
        };
        let (first, mut bytes) = (found.len(), 0_u64);
        for entry in described.variables() {
            let declared = btf.type_by_id(entry.variable).map_err(ElfError::BadBtf)?;
            if declared.kind() == Kind::Var {
                bytes = bytes.saturating_add(entry.size.into());
                if bytes > section.size {
                    return Err(ElfError::Malformed(format!("its variables in `{}` overlap", section.name)));
                }
                found.push(variable(section, &described, entry, &declared, &places)?);
            }
        }
        if let Some(own) = found.get_mut(first..) {
            // Those without a size may lie where another one does; they stay in their order.
            own.sort_by_key(|variable| variable.offset);
        }
    }
    Ok(found)
}

/// What the object wants from the kernel, in the order of its BTF.
pub(super) fn externs(file: &File<'_>, btf: &Btf) -> Result<Vec<Extern>, ElfError> {
    let wanted = || file.symbols.iter().filter(|symbol| symbol.is_wanted && !symbol.name.is_empty());
    let weak: HashSet<&str> = wanted().filter(|symbol| symbol.is_weak).map(|symbol| symbol.name).collect();
    let mut found = Vec::new();
    for described in sections(btf).filter(|section| matches!(section.name(), ".kconfig" | ".ksyms")) {
        for entry in described.variables() {
            let declared = btf.type_by_id(entry.variable).map_err(ElfError::BadBtf)?;
            let kind = match (described.name(), declared.kind()) {
                (".kconfig", _) => ExternKind::Kconfig,
                (_, Kind::Func) => ExternKind::KernelFunction,
                _ if is_untyped(btf, &declared)? => ExternKind::KernelSymbol,
                _ => ExternKind::KernelVariable,
            };
            let name = declared.name().to_owned();
            found.push(Extern { weak: weak.contains(name.as_str()), name, kind, type_id: entry.variable });
        }
    }
    let declared: HashSet<&str> = found.iter().map(|found| found.name.as_str()).collect();
    match wanted().find(|symbol| !declared.contains(symbol.name)) {
        Some(symbol) => Err(ElfError::Undefined(symbol.name.to_owned())),
        None => Ok(found),
    }
}

/// `extern const void x __ksym`: only its address is wanted.
fn is_untyped(btf: &Btf, declared: &Type<'_>) -> Result<bool, ElfError> {
    Ok(btf.resolve(declared.target()).map_err(ElfError::BadBtf)?.kind() == Kind::Void)
}

fn sections(btf: &Btf) -> impl Iterator<Item = Type<'_>> {
    btf.ids().filter_map(|id| btf.type_by_id(id).ok()).filter(|found| found.kind() == Kind::DataSec)
}

/// The bytes of the sections that variables live in; none where all are zero (`.bss`).
pub(super) fn contents(file: &File<'_>, variables: &[Variable]) -> HashMap<String, Vec<u8>> {
    let wanted: HashSet<&str> = variables.iter().map(|variable| variable.section.as_str()).collect();
    let of = |name: &&str| Some(((*name).to_owned(), file.section(name)?.data.to_vec()));
    wanted.iter().filter_map(of).collect()
}

/// The name of the map that libbpf makes of a section, but for the object's name before it: the kernel cuts it.
#[must_use]
pub fn section_map(section: &str) -> &str {
    const LONGEST: usize = 15;
    section.get(..LONGEST).unwrap_or(section)
}

fn holds_data(section: &str) -> bool {
    [".data", ".rodata", ".bss"]
        .iter()
        .any(|known| section.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

/// Clang leaves the offsets of global variables 0 and says so by a section
/// without size; the symbol knows. A linker writes both, and has no symbol to
/// offer for a static variable.
fn variable(
    section: &Section<'_>,
    described: &Type<'_>,
    entry: SectionVariable,
    declared: &Type<'_>,
    places: &HashMap<&str, &Symbol<'_>>,
) -> Result<Variable, ElfError> {
    let is_static = declared.linkage() == STATIC;
    let symbol = places.get(declared.name()).filter(|_| !is_static && described.stated_size() == Some(0));
    let offset = symbol.map_or(u64::from(entry.offset), |symbol| symbol.value);
    let outside = offset.saturating_add(entry.size.into()) > section.size;
    let (false, Ok(offset)) = (outside, u32::try_from(offset)) else {
        return Err(ElfError::BadBtf(BtfError::Outside {
            path: format!("{}.{}", section.name, declared.name()),
            offset: usize::try_from(offset).unwrap_or(usize::MAX),
            end: usize::try_from(offset.saturating_add(entry.size.into())).unwrap_or(usize::MAX),
            size: usize::try_from(section.size).unwrap_or(usize::MAX),
        }));
    };
    Ok(Variable {
        name: declared.name().to_owned(),
        section: section.name.to_owned(),
        offset,
        size: entry.size,
        type_id: declared.id(),
        is_static,
    })
}
