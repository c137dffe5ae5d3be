//! What `inspect` knows of an object: plain data, in the order in which JSON writes it.
//!
//! Names of keys are an interface: they are added to, and a change of meaning raises `version`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::initial::Initial;
use crate::btf::{Btf, BtfError, MemberKind, ScalarKind, TypeId};
use crate::config;
use crate::elf::{
    CoreRelocation, Extern, ExternKind, FunctionInfo, Helper, MapInfo, Need, ObjectInfo, ProgramInfo,
    SectionKind, Value, Variable, flag_names, is_gpl_compatible,
};
use crate::problem::Problem;

const VERSION: u32 = 1;

/// Everything.
#[derive(Serialize)]
#[allow(missing_docs, reason = "docs/inspect.md explains the keys")]
pub struct Report {
    pub version: u32,
    pub object: String,
    pub usable: bool,
    pub license: Option<String>,
    pub gpl_compatible: bool,
    pub byte_order: &'static str,
    pub architecture: Option<&'static str>,
    pub kernel: Option<KernelReport>,
    pub needs_kernel_btf: bool,
    pub programs: Vec<ProgramReport>,
    pub maps: Vec<MapReport>,
    pub variables: Vec<VariableReport>,
    pub externs: Vec<ExternReport>,
    pub functions: Vec<FunctionReport>,
    pub core_relocations: RelocationsReport,
    #[serde(serialize_with = "problems")]
    pub problems: Vec<Problem>,
}

#[derive(Serialize)]
#[allow(missing_docs, reason = "docs/inspect.md explains the keys")]
pub struct KernelReport {
    pub since: String,
    pub because: String,
}

#[derive(Serialize)]
#[allow(missing_docs, reason = "docs/inspect.md explains the keys")]
pub struct ProgramReport {
    pub name: String,
    pub section: String,
    pub autoload: bool,
    #[serde(rename = "type")]
    pub kind: Option<&'static str>,
    pub attach_type: Option<&'static str>,
    pub target: Option<String>,
    pub attaches: bool,
    pub sleepable: bool,
    pub kernel: Option<KernelReport>,
    pub instructions: u64,
    pub functions: Vec<String>,
    pub helpers: Vec<HelperReport>,
    pub kernel_functions: Vec<String>,
    pub maps: Vec<String>,
}

#[derive(Serialize)]
#[allow(missing_docs, reason = "docs/inspect.md explains the keys")]
pub struct HelperReport {
    pub id: u32,
    pub name: String,
    pub gpl_only: bool,
    pub since: Option<String>,
}

#[derive(Serialize)]
#[allow(missing_docs, reason = "docs/inspect.md explains the keys")]
pub struct MapReport {
    pub name: String,
    pub kind: String,
    pub readable: bool,
    pub per_cpu: bool,
    pub max_entries: u32,
    pub flags: Vec<String>,
    pub pinning: Option<&'static str>,
    pub numa_node: Option<u32>,
    pub map_extra: u64,
    pub memory: Option<MemoryReport>,
    pub kernel: Option<KernelReport>,
    pub key_size: u32,
    pub value_size: u32,
    pub key: Option<TypeReport>,
    pub value: Option<TypeReport>,
    pub inner: Option<Box<MapReport>>,
}

#[derive(Serialize)]
#[allow(missing_docs, reason = "docs/inspect.md explains the keys")]
pub struct MemoryReport {
    pub bytes: u64,
    pub bytes_per_cpu: u64,
    pub preallocated: bool,
}

#[derive(Serialize)]
#[allow(missing_docs, reason = "docs/inspect.md explains the keys")]
pub struct TypeReport {
    #[serde(rename = "type")]
    pub name: String,
    pub size: u64,
    pub members: Vec<MemberReport>,
    pub padding: Vec<PaddingReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

#[derive(Serialize)]
#[allow(missing_docs, reason = "docs/inspect.md explains the keys")]
pub struct MemberReport {
    pub path: String,
    #[serde(rename = "type")]
    pub type_name: String,
    pub kind: &'static str,
    pub offset: usize,
    pub size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bit_shift: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bit_width: Option<u32>,
    #[serde(skip)]
    pub declaration: String,
}

#[derive(Serialize)]
#[allow(missing_docs, reason = "docs/inspect.md explains the keys")]
pub struct PaddingReport {
    pub offset: usize,
    pub size: usize,
}

#[derive(Serialize)]
#[allow(missing_docs, reason = "docs/inspect.md explains the keys")]
pub struct VariableReport {
    pub name: String,
    pub section: String,
    pub offset: u32,
    pub size: u32,
    #[serde(rename = "type")]
    pub type_name: String,
    #[serde(rename = "static")]
    pub is_static: bool,
    pub read_only: bool,
    #[serde(serialize_with = "initial")]
    pub initial: Value,
    #[serde(skip)]
    pub declaration: String,
}

#[derive(Serialize)]
#[allow(missing_docs, reason = "docs/inspect.md explains the keys")]
pub struct ExternReport {
    pub name: String,
    pub kind: &'static str,
    #[serde(rename = "type")]
    pub type_name: String,
    pub weak: bool,
}

#[derive(Serialize)]
#[allow(missing_docs, reason = "docs/inspect.md explains the keys")]
pub struct FunctionReport {
    pub name: String,
    pub section: String,
    pub instructions: u64,
    pub program: bool,
    #[serde(rename = "static")]
    pub is_static: bool,
}

#[derive(Serialize)]
#[allow(missing_docs, reason = "docs/inspect.md explains the keys")]
pub struct RelocationsReport {
    pub count: usize,
    pub by_kind: BTreeMap<String, usize>,
    pub list: Vec<RelocationReport>,
}

#[derive(Serialize)]
#[allow(missing_docs, reason = "docs/inspect.md explains the keys")]
pub struct RelocationReport {
    pub kind: String,
    pub path: Option<String>,
    pub kernel_type: Option<String>,
    pub function: String,
    pub section: String,
    pub instruction: u64,
    pub access: Vec<u32>,
}

/// What may still be told in full: maps can share a type, and a variable of zeros takes no room in the file,
/// so that a small object could make a report of gigabytes.
struct Room {
    /// Bytes of members.
    types: usize,
    /// Bytes of variables.
    values: u32,
}

/// Far more than the largest objects have.
const MAX_TYPES: usize = 32 << 20;
const MAX_VALUES: u32 = 1 << 20;

/// Bytes of a member without its texts.
const MEMBER: usize = 64;

impl Report {
    /// Gathers what an object says of itself; `name` is how the user calls it.
    #[must_use]
    pub fn new(name: &str, object: &ObjectInfo) -> Self {
        let problems = object.findings();
        let mut room = Room { types: MAX_TYPES, values: MAX_VALUES };
        Self {
            version: VERSION,
            object: name.to_owned(),
            usable: !problems.iter().any(Problem::is_error),
            license: object.license.clone(),
            gpl_compatible: object.license.as_deref().is_some_and(is_gpl_compatible),
            // An object of the other order is refused.
            byte_order: if cfg!(target_endian = "big") { "big" } else { "little" },
            architecture: config::architecture_of(Path::new(name)),
            kernel: object.needs().map(kernel),
            needs_kernel_btf: object.needs_kernel_btf(),
            programs: object.programs.iter().map(|found| program(object, found)).collect(),
            maps: object.maps.iter().map(|found| map(&object.btf, found, &mut room)).collect(),
            variables: object.variables.iter().map(|found| variable(object, found, &mut room)).collect(),
            externs: object.externs.iter().map(|found| wanted(&object.btf, found)).collect(),
            functions: object.functions.iter().map(function).collect(),
            core_relocations: relocations(object),
            problems,
        }
    }

    /// The report as JSON, indented, with a line's end behind it.
    ///
    /// # Errors
    /// Never with what [`Report::new`] makes: JSON can write all of it.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

fn problems<S: serde::Serializer>(problems: &[Problem], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(problems.iter().map(Problem::to_json))
}

fn initial<S: serde::Serializer>(value: &Value, to: S) -> Result<S::Ok, S::Error> {
    Initial(value).serialize(to)
}

fn kernel(need: Need) -> KernelReport {
    KernelReport { since: need.kernel.to_string(), because: need.why }
}

fn program(object: &ObjectInfo, found: &ProgramInfo) -> ProgramReport {
    let kind = SectionKind::of(&found.section);
    let target = kind.and_then(|kind| kind.target(&found.section));
    let helpers = found.helpers.iter().map(|id| Helper(*id)).map(|helper| HelperReport {
        id: helper.0,
        name: helper.name(),
        gpl_only: helper.is_gpl_only(),
        since: helper.floor().map(|floor| floor.to_string()),
    });
    ProgramReport {
        name: found.name.clone(),
        section: found.section.clone(),
        autoload: found.autoload,
        kind: kind.map(|kind| kind.program_type),
        attach_type: kind.and_then(|kind| kind.attach_type),
        target: target.map(str::to_owned),
        attaches: found.attaches(),
        sleepable: kind.is_some_and(|kind| kind.is_sleepable()),
        kernel: object.program_needs(found).map(kernel),
        instructions: found.instructions,
        functions: found.functions.clone(),
        helpers: helpers.collect(),
        kernel_functions: found.kernel_functions.iter().cloned().collect(),
        maps: found.maps.iter().cloned().collect(),
    }
}

fn map(btf: &Btf, found: &MapInfo, room: &mut Room) -> MapReport {
    MapReport {
        name: found.name.clone(),
        kind: found.kind.to_string(),
        readable: found.is_readable(),
        per_cpu: found.kind.is_per_cpu(),
        max_entries: found.max_entries,
        flags: flag_names(found.flags),
        pinning: found.pinned.then_some("by_name"),
        numa_node: found.numa_node,
        map_extra: found.map_extra,
        memory: found.memory().map(|memory| MemoryReport {
            bytes: memory.bytes,
            bytes_per_cpu: memory.bytes_per_cpu,
            preallocated: memory.is_preallocated,
        }),
        kernel: found.needs().map(kernel),
        key_size: found.key_size,
        value_size: found.value_size,
        key: found.key_type.map(|id| type_report(btf, id, room)),
        value: found.value_type.map(|id| type_report(btf, id, room)),
        inner: found.inner.as_deref().map(|inner| Box::new(map(btf, inner, room))),
    }
}

fn type_report(btf: &Btf, id: TypeId, room: &mut Room) -> TypeReport {
    if room.types == 0 {
        return opaque(btf, id, &BtfError::TooLarge(id));
    }
    let layout = match btf.layout(id) {
        Ok(layout) => layout,
        Err(error) => return opaque(btf, id, &error),
    };
    let text = layout.members.iter().map(|member| MEMBER + member.path.len() + member.type_name.len());
    room.types = room.types.saturating_sub(text.sum());
    let gaps = layout.gaps().into_iter().map(|gap| PaddingReport { offset: gap.start, size: gap.len() });
    TypeReport {
        size: layout.size as u64,
        padding: gaps.collect(),
        members: layout
            .members
            .iter()
            .map(|member| MemberReport {
                path: member.path.clone(),
                type_name: member.type_name.clone(),
                kind: kind_name(member.kind),
                offset: member.offset,
                size: member.size,
                bit_shift: member.bits.map(|bits| bits.shift),
                bit_width: member.bits.map(|bits| bits.width),
                declaration: member.declaration(),
            })
            .collect(),
        name: layout.type_name,
        problem: None,
    }
}

/// A type whose members cannot be told, as far as it is known.
fn opaque(btf: &Btf, id: TypeId, error: &BtfError) -> TypeReport {
    TypeReport {
        name: btf.type_name(id),
        size: btf.size_of(id).unwrap_or(0) as u64,
        members: Vec::new(),
        padding: Vec::new(),
        problem: Some(error.to_string()),
    }
}

fn kind_name(kind: MemberKind) -> &'static str {
    match kind {
        MemberKind::Scalar(ScalarKind::Unsigned) => "unsigned",
        MemberKind::Scalar(ScalarKind::Signed) => "signed",
        MemberKind::Scalar(ScalarKind::Bool) => "bool",
        MemberKind::Scalar(ScalarKind::Char) => "char",
        MemberKind::Scalar(ScalarKind::Float) => "float",
        MemberKind::Enum { .. } => "enum",
        MemberKind::Pointer => "pointer",
        MemberKind::Text => "text",
        MemberKind::Array { .. } => "array",
        MemberKind::Aggregate => "aggregate",
    }
}

fn variable(object: &ObjectInfo, found: &Variable, room: &mut Room) -> VariableReport {
    let left = room.values.checked_sub(found.size);
    room.values = left.unwrap_or(room.values);
    let type_name = object.btf.type_name(found.type_id);
    VariableReport {
        name: found.name.clone(),
        section: found.section.clone(),
        offset: found.offset,
        size: found.size,
        is_static: found.is_static,
        read_only: found.section.starts_with(".rodata"),
        initial: if left.is_some() { object.initial_value(found) } else { object.untold_value(found) },
        declaration: crate::btf::declaration(&type_name, &found.name),
        type_name,
    }
}

fn wanted(btf: &Btf, found: &Extern) -> ExternReport {
    ExternReport {
        name: found.name.clone(),
        kind: match found.kind {
            ExternKind::Kconfig => "kconfig",
            ExternKind::KernelSymbol => "kernel_symbol",
            ExternKind::KernelVariable => "kernel_variable",
            ExternKind::KernelFunction => "kernel_function",
        },
        type_name: if found.kind == ExternKind::KernelFunction {
            "function".to_owned()
        } else {
            btf.type_name(found.type_id)
        },
        weak: found.weak,
    }
}

fn function(found: &FunctionInfo) -> FunctionReport {
    FunctionReport {
        name: found.name.clone(),
        section: found.section.clone(),
        instructions: found.instructions,
        program: found.is_program,
        is_static: found.is_static,
    }
}

fn relocations(object: &ObjectInfo) -> RelocationsReport {
    let found = object.core_relocations.as_deref().unwrap_or_default();
    let mut by_kind = BTreeMap::new();
    for relocation in found {
        *by_kind.entry(relocation.kind.to_string()).or_insert(0) += 1;
    }
    let list = found.iter().map(|found| relocation(&object.btf, found)).collect();
    RelocationsReport { count: found.len(), by_kind, list }
}

fn relocation(btf: &Btf, found: &CoreRelocation) -> RelocationReport {
    let path = found.path(btf).ok();
    RelocationReport {
        kind: found.kind.to_string(),
        kernel_type: path.as_ref().map(|path| path.kernel_type().to_owned()),
        path: path.map(|path| path.to_string()),
        function: found.function.clone(),
        section: found.section.clone(),
        instruction: found.instruction,
        access: found.access.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::sample::shared;

    /// Each of them in full would take gigabytes.
    #[test]
    fn what_is_shared_is_not_told_without_end() {
        let report = Report::new("x", &shared(2000, 10_000, 2000, 65_536));
        let types: Vec<_> = report.maps.iter().filter_map(|map| map.value.as_ref()).collect();
        assert_eq!((types.len(), types[0].members.len(), &types[0].problem), (2000, 10_000, &None));
        let last = types[1999];
        assert_eq!((last.members.len(), last.size), (0, 40_000));
        assert!(
            last.problem.as_deref().is_some_and(|problem| problem.contains("large")),
            "{:?}",
            last.problem
        );
        assert!(matches!(&report.variables[0].initial, Value::Array(numbers) if numbers.len() == 16_384));
        assert_eq!(report.variables[1999].initial, Value::Zeros(65_536));
        assert!(report.to_json().unwrap().len() < 256 << 20);
    }
}
