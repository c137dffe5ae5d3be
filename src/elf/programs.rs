//! Programs, and what their instructions call.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::file::{File, Symbol};
use super::floors::{Kernel, instruction_floor};
use super::{ElfError, FunctionInfo, Helper, ProgramInfo, SectionKind, pointers};

const INSTRUCTION: u64 = 8;
/// Instructions are read at most this often, however many symbols share them.
const MAX_SCANNED: u64 = 64 << 20;

/// Functions of all programs together; one of them can have 256 in the kernel.
const MAX_REACHED: usize = 1 << 18;

/// `BPF_JMP | BPF_CALL`
const CALL: u8 = 0x85;
/// `BPF_LD | BPF_IMM | BPF_DW`, which takes two slots.
const LOAD_ADDRESS: u8 = 0x18;
/// `BPF_PSEUDO_CALL`: the source register of a call within the object.
const PSEUDO_CALL: u8 = 1;

/// Programs and all functions by section and place, as libbpf orders them.
pub(super) fn programs(file: &File<'_>) -> Result<(Vec<ProgramInfo>, Vec<FunctionInfo>), ElfError> {
    let mut functions = functions(file)?;
    // Several names of one function stay in the order of the symbols.
    functions.sort_by_key(|function| (function.section, function.value));
    let calls = calls(file, &functions)?;
    let starts: HashMap<Target, usize> = functions
        .iter()
        .enumerate()
        .map(|(index, function)| ((function.section, function.value), index))
        .collect();
    let name_of =
        |function: &Symbol<'_>| file.sections.get(function.section).map_or("", |section| section.name);
    let (mut found, mut all, mut total) = (Vec::new(), Vec::new(), 0);
    for (index, function) in functions.iter().enumerate() {
        let section = name_of(function);
        // libbpf takes a lone function without SEC() for a program; beside others it is a subprogram.
        let is_program = section != ".text" || functions.len() == 1;
        all.push(FunctionInfo {
            name: function.name.to_owned(),
            section: section.strip_prefix('?').unwrap_or(section).to_owned(),
            instructions: function.size / INSTRUCTION,
            is_program,
            is_static: function.is_local,
        });
        if !is_program {
            continue;
        }
        let reached = reachable(index, &calls, &starts);
        total += reached.len();
        if total > MAX_REACHED {
            return Err(ElfError::Malformed(
                "its programs call more functions than a kernel takes".to_owned(),
            ));
        }
        let used = |one: &usize| calls.get(*one);
        let helpers: BTreeSet<u32> =
            reached.iter().filter_map(used).flat_map(|calls| &calls.helpers).copied().collect();
        let takes_perfmon = takes_perfmon(file, function, section, &helpers);
        found.push(ProgramInfo {
            name: function.name.to_owned(),
            section: section.strip_prefix('?').unwrap_or(section).to_owned(),
            autoload: !section.starts_with('?'),
            takes_perfmon,
            is_filter: false,
            helpers,
            instructions: reached
                .iter()
                .filter_map(|one| functions.get(*one))
                .map(|one| one.size / INSTRUCTION)
                .sum(),
            functions: reached
                .iter()
                .filter_map(|one| functions.get(*one))
                .map(|one| one.name.to_owned())
                .skip(1)
                .collect(),
            maps: reached.iter().filter_map(used).flat_map(|calls| &calls.maps).cloned().collect(),
            kernel_functions: reached
                .iter()
                .filter_map(used)
                .flat_map(|calls| &calls.externs)
                .cloned()
                .collect(),
            instruction_floor: reached.iter().filter_map(used).filter_map(|calls| calls.floor).max(),
        });
    }
    Ok((found, all))
}

/// Whether a program takes `CAP_PERFMON`.
fn takes_perfmon(file: &File<'_>, program: &Symbol<'_>, section: &str, helpers: &BTreeSet<u32>) -> bool {
    let section = section.strip_prefix('?').unwrap_or(section);
    let Some(kind) = SectionKind::of(section) else { return false };
    let spin_lock = Helper(93);
    kind.traces()
        || helpers.iter().any(|helper| Helper(*helper).takes_perfmon())
        || pointers::take_perfmon(file, program, kind.program_type, helpers.contains(&spin_lock.0))
}

/// Whether `.BTF.ext` holds CO-RE relocations.
pub(super) fn has_core_relocations(extension: &[u8]) -> bool {
    let word = |at: usize| {
        extension.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes)
    };
    // Length of the header (they came later than the first one), then bytes of the
    // relocations, of which the first four are the size of a record.
    word(4) >= 32 && word(28) > 4
}

/// Whether libbpf finds a program's target in the kernel's BTF, by its section.
pub(super) fn attaches_by_btf(section: &str) -> bool {
    let kind = section.split('/').next().unwrap_or(section);
    let kind = kind.strip_suffix(".s").unwrap_or(kind);
    matches!(
        kind,
        "tp_btf"
            | "fentry"
            | "fexit"
            | "fmod_ret"
            | "fsession"
            | "lsm"
            | "lsm_cgroup"
            | "iter"
            | "struct_ops"
    )
}

fn functions<'f, 'a>(file: &'f File<'a>) -> Result<Vec<&'f Symbol<'a>>, ElfError> {
    let mut found = Vec::new();
    for symbol in file.symbols.iter().filter(|symbol| symbol.is_function && symbol.section != 0) {
        let Some(section) = file.sections.get(symbol.section).filter(|section| section.executable) else {
            continue;
        };
        let refuse = |reason: &str| ElfError::Program {
            program: symbol.name.to_owned(),
            section: section.name.to_owned(),
            reason: reason.to_owned(),
        };
        let whole = symbol.size > 0
            && symbol.size.is_multiple_of(INSTRUCTION)
            && symbol.value.is_multiple_of(INSTRUCTION)
            && symbol.value.saturating_add(symbol.size) <= section.data.len() as u64;
        if !whole {
            return Err(refuse("its instructions lie outside of the section or are not whole"));
        }
        if symbol.is_local && section.name != ".text" {
            return Err(refuse("it is static, and libbpf takes global programs only: remove `static`"));
        }
        found.push(symbol);
    }
    Ok(found)
}

/// A section and a byte in it.
type Target = (usize, u64);

/// What one function calls.
#[derive(Default)]
struct Calls {
    helpers: BTreeSet<u32>,
    functions: Vec<Target>,
    maps: BTreeSet<String>,
    externs: BTreeSet<String>,
    floor: Option<(Kernel, &'static str)>,
}

fn calls(file: &File<'_>, functions: &[&Symbol<'_>]) -> Result<Vec<Calls>, ElfError> {
    let total = functions.iter().fold(0u64, |total, function| total.saturating_add(function.size));
    if total > MAX_SCANNED {
        return Err(ElfError::Malformed("its programs overlap".to_owned()));
    }
    let mut relocations: HashMap<usize, HashMap<u64, usize>> = HashMap::new();
    let read = functions.iter().map(|function| {
        let by_offset = relocations.entry(function.section).or_insert_with(|| {
            file.relocations(function.section).into_iter().map(|found| (found.offset, found.symbol)).collect()
        });
        calls_of(file, function, by_offset)
    });
    Ok(read.collect())
}

fn calls_of(file: &File<'_>, function: &Symbol<'_>, relocations: &HashMap<u64, usize>) -> Calls {
    let mut calls = Calls::default();
    let code = file.sections.get(function.section).map_or(&[][..], |section| section.data);
    let bytes = usize::try_from(function.value)
        .ok()
        .and_then(|start| code.get(start..)?.get(..usize::try_from(function.size).ok()?));
    let slots = bytes.unwrap_or_default().chunks_exact(8);
    for (slot, place) in slots.zip((function.value..).step_by(8)) {
        let Ok([code, registers, low, high, immediate @ ..]) = <[u8; 8]>::try_from(slot) else { continue };
        let source = if cfg!(target_endian = "big") { registers & 0xf } else { registers >> 4 };
        let immediate = i32::from_ne_bytes(immediate);
        let floor = instruction_floor(code, i16::from_ne_bytes([low, high]), immediate);
        let immediate = i64::from(immediate);
        let symbol = relocations.get(&place).and_then(|symbol| file.symbols.get(*symbol));
        calls.floor = calls.floor.max(floor);
        if let Some(symbol) = symbol {
            calls.uses(file, code, symbol);
        }
        match (code, source, symbol) {
            (CALL, 0, None) => calls.helpers.extend(u32::try_from(immediate)),
            (CALL, PSEUDO_CALL, Some(symbol)) => {
                let target = symbol.value.checked_add_signed(8 * (immediate + 1));
                calls.functions.extend(target.map(|target| (symbol.section, target)));
            }
            (CALL, PSEUDO_CALL, None) => {
                let target = place.checked_add_signed(8 * (immediate + 1));
                calls.functions.extend(target.map(|target| (function.section, target)));
            }
            // The address of a function, for a helper that calls it back.
            (LOAD_ADDRESS, _, Some(symbol)) => {
                let target = symbol.value.checked_add_signed(immediate);
                calls.functions.extend(target.map(|target| (symbol.section, target)));
            }
            _ => {}
        }
    }
    calls
}

impl Calls {
    /// Maps by the section of their symbol, functions of the kernel by having none.
    fn uses(&mut self, file: &File<'_>, code: u8, symbol: &Symbol<'_>) {
        let section = file.sections.get(symbol.section).map_or("", |section| section.name);
        if code == CALL && symbol.is_wanted {
            self.externs.insert(symbol.name.to_owned());
        } else if code == LOAD_ADDRESS && section == ".maps" {
            self.maps.insert(symbol.name.to_owned());
        }
    }
}

/// A function and all that it calls, itself first.
fn reachable(first: usize, calls: &[Calls], starts: &HashMap<Target, usize>) -> Vec<usize> {
    let (mut seen, mut reached) = (HashSet::from([first]), vec![first]);
    let mut next = 0;
    while let Some(found) = reached.get(next).and_then(|index| calls.get(*index)) {
        next += 1;
        for target in found.functions.iter().filter_map(|target| starts.get(target)) {
            if seen.insert(*target) {
                reached.push(*target);
            }
        }
    }
    reached
}
