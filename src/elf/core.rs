//! CO-RE relocations: what the object asks the kernel's BTF when it is loaded.
//!
//! `.BTF.ext` keeps them by section, each with the instruction that is changed, a type of the
//! object and the way to a member as numbers (`0:4:2`), which are resolved to names here.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter, Result as Written};

use super::file::File;
use crate::btf::{Btf, BtfError, Kind, Type, TypeId};

/// libbpf takes no way with more steps.
const MAX_STEPS: usize = 64;
/// Bytes in which its names are written at most: many relocations can share one way.
const MAX_PATH: usize = 2048;
/// Bytes in which such a way is written at most.
const MAX_ACCESS: usize = MAX_STEPS * 11;
const HEADER_WITH_RELOCATIONS: u32 = 32;
const RECORD: usize = 16;

/// What is asked (`enum bpf_core_relo_kind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CoreKind(pub u32);

/// In the order of the kernel's numbers; the words are libbpf's.
const KINDS: [&str; 13] = [
    "byte_off",
    "byte_sz",
    "field_exists",
    "signed",
    "lshift_u64",
    "rshift_u64",
    "local_type_id",
    "target_type_id",
    "type_exists",
    "type_size",
    "enumval_exists",
    "enumval_value",
    "type_matches",
];

impl CoreKind {
    /// Libbpf's word for it; `unknown` for a kind that came after this program.
    #[must_use]
    pub fn name(self) -> &'static str {
        usize::try_from(self.0).ok().and_then(|number| KINDS.get(number)).copied().unwrap_or("unknown")
    }

    /// Whether it is asked of a member.
    #[must_use]
    pub fn is_of_field(self) -> bool {
        self.0 <= 5
    }

    /// Whether it is asked of one name of an enum.
    #[must_use]
    pub fn is_of_enumerator(self) -> bool {
        matches!(self.0, 10 | 11)
    }

    /// Whether the program itself asks if something is there, so that it may be missing.
    #[must_use]
    pub fn asks_whether(self) -> bool {
        matches!(self.0, 2 | 8 | 10 | 12)
    }
}

impl Display for CoreKind {
    fn fmt(&self, out: &mut Formatter<'_>) -> Written {
        match self.name() {
            "unknown" => write!(out, "kind {}", self.0),
            name => out.write_str(name),
        }
    }
}

/// One CO-RE relocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreRelocation {
    /// What is asked.
    pub kind: CoreKind,
    /// The function whose instruction is changed; empty when no function is there.
    pub function: String,
    /// The section of the instruction, without a leading `?`.
    pub section: String,
    /// The instruction's number in the function (in the section when no function is there).
    pub instruction: u64,
    /// The object's type that the way begins at.
    pub type_id: TypeId,
    /// The way: an index on the pointer, then numbers of members and indexes of arrays;
    /// of an enum, the number of the name.
    pub access: Vec<u32>,
}

/// A way with its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorePath {
    /// The type's name in the object, such as `task_struct___old`; of a type without name what C writes.
    pub root: String,
    /// What follows, such as `.se.load` or `[2].x`; `::NAME` of an enum; empty for a type as a whole.
    pub steps: String,
}

impl CorePath {
    /// The type's name in the kernel: without the flavour behind `___`.
    #[must_use]
    pub fn kernel_type(&self) -> &str {
        match self.root.find("___") {
            Some(at) if at > 0 => &self.root[..at],
            _ => &self.root,
        }
    }
}

impl Display for CorePath {
    fn fmt(&self, out: &mut Formatter<'_>) -> Written {
        write!(out, "{}{}", self.root, self.steps)
    }
}

impl CoreRelocation {
    /// The way with its names.
    ///
    /// # Errors
    /// When the object's own BTF does not have it.
    pub fn path(&self, btf: &Btf) -> Result<CorePath, BtfError> {
        let root = root_name(btf, self.type_id)?;
        let mut steps = String::new();
        let mut numbers = self.access.iter().copied();
        let first = numbers.next().unwrap_or(0);
        if self.kind.is_of_enumerator() {
            let found = btf.resolve(self.type_id)?;
            let named = found.enumerators().nth(first as usize);
            let named = named.ok_or_else(|| missing(btf, self.type_id, first))?;
            return Ok(CorePath { root, steps: format!("::{}", named.name) });
        }
        if !self.kind.is_of_field() {
            return Ok(CorePath { root, steps });
        }
        if first > 0 {
            steps = format!("[{first}]");
        }
        let mut current = self.type_id;
        for number in numbers {
            let within = btf.resolve(current)?;
            current = step(btf, &within, number, &mut steps)?;
            if steps.len() > MAX_PATH {
                return Err(BtfError::TooLarge(self.type_id));
            }
        }
        Ok(CorePath { root, steps })
    }
}

fn step(btf: &Btf, within: &Type<'_>, number: u32, steps: &mut String) -> Result<TypeId, BtfError> {
    if within.kind() == Kind::Array {
        steps.push_str(&format!("[{number}]"));
        return Ok(within.target());
    }
    let field = within.fields().nth(number as usize).ok_or_else(|| missing(btf, within.id(), number))?;
    if !field.name.is_empty() {
        steps.push('.');
        steps.push_str(field.name);
    }
    Ok(field.type_id)
}

fn missing(btf: &Btf, id: TypeId, number: u32) -> BtfError {
    BtfError::NoMember { name: format!("#{number}"), within: btf.type_name(id), known: Vec::new() }
}

/// The name that libbpf looks for: behind qualifiers, of a typedef its own.
fn root_name(btf: &Btf, id: TypeId) -> Result<String, BtfError> {
    let mut current = id;
    for _ in 0..MAX_STEPS {
        let found = btf.type_by_id(current)?;
        match found.kind() {
            Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => current = found.target(),
            _ if found.name().is_empty() => return Ok(btf.type_name(current)),
            _ => return Ok(found.name().to_owned()),
        }
    }
    Err(BtfError::TooDeep(id))
}

/// All CO-RE relocations in the order of `.BTF.ext`.
///
/// # Errors
/// A sentence, when the section cannot be read; libbpf then ignores it.
pub(super) fn relocations(file: &File<'_>, btf: &Btf) -> Result<Vec<CoreRelocation>, String> {
    let Some(section) = file.section(".BTF.ext") else { return Ok(Vec::new()) };
    let mut records = Words { bytes: records(section.data)? };
    let Some(size) = records.next() else { return Ok(Vec::new()) };
    let size = size as usize;
    if size < RECORD || !size.is_multiple_of(4) {
        return Err(format!("its CO-RE relocations have {size} bytes each instead of {RECORD}"));
    }
    let functions = Functions::of(file);
    let mut found = Vec::new();
    while let Some(name) = records.next() {
        let (name, count) = (btf.name(name).to_owned(), records.next().ok_or_else(cut)? as usize);
        for _ in 0..count {
            let record = records.take(size).ok_or_else(cut)?;
            found.push(relocation(&functions, btf, &name, record)?);
        }
    }
    Ok(found)
}

fn cut() -> String {
    "its CO-RE relocations are cut off".to_owned()
}

/// The bytes of the CO-RE relocations, behind a header that has them.
fn records(data: &[u8]) -> Result<&[u8], String> {
    let word = |at: usize| Words { bytes: data.get(at..).unwrap_or_default() }.next();
    let header = word(4).ok_or("it ends within its header")?;
    if header < HEADER_WITH_RELOCATIONS {
        return Ok(&[]);
    }
    let (offset, length) = (word(24).ok_or_else(cut)?, word(28).ok_or_else(cut)?);
    let start = (header as usize).checked_add(offset as usize).ok_or_else(cut)?;
    data.get(start..).and_then(|rest| rest.get(..length as usize)).ok_or_else(cut)
}

fn relocation(
    functions: &Functions<'_>,
    btf: &Btf,
    section: &str,
    record: Words<'_>,
) -> Result<CoreRelocation, String> {
    let mut words = record;
    let mut word = || words.next().ok_or_else(cut);
    let (offset, type_id, access, kind) = (u64::from(word()?), TypeId(word()?), word()?, CoreKind(word()?));
    btf.type_by_id(type_id).map_err(|error| error.to_string())?;
    let steps = btf.short_name(access, MAX_ACCESS).ok_or("a CO-RE relocation has no way to its member")?;
    let numbers = steps.split(':').map(|number| number.parse().ok()).collect::<Option<Vec<u32>>>();
    let access = numbers.filter(|numbers| numbers.len() <= MAX_STEPS).ok_or_else(|| {
        format!("a CO-RE relocation has the way `{}` instead of numbers between colons", steps.escape_debug())
    })?;
    let (function, start) = functions.at(section, offset).unwrap_or_default();
    Ok(CoreRelocation {
        kind,
        function: function.to_owned(),
        section: section.strip_prefix('?').unwrap_or(section).to_owned(),
        instruction: (offset - start) / 8,
        type_id,
        access,
    })
}

/// Functions by their section's name and first byte, with their size.
struct Functions<'a>(BTreeMap<(&'a str, u64), (&'a str, u64)>);

impl<'a> Functions<'a> {
    fn of(file: &File<'a>) -> Self {
        let functions = file.symbols.iter().filter(|symbol| symbol.is_function);
        let placed = functions.filter_map(|symbol| {
            Some(((file.sections.get(symbol.section)?.name, symbol.value), (symbol.name, symbol.size)))
        });
        Self(placed.collect())
    }

    /// The function that holds a byte of a section, and where it begins.
    fn at(&self, section: &str, offset: u64) -> Option<(&'a str, u64)> {
        let ((found, start), (name, size)) = self.0.range(..=(section, offset)).next_back()?;
        (*found == section && offset - start < *size).then_some((*name, *start))
    }
}

/// Numbers of 32 bits in the machine's byte order: the object's header was checked.
#[derive(Clone, Copy)]
struct Words<'a> {
    bytes: &'a [u8],
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<u32> {
        let (word, rest) = self.bytes.split_first_chunk::<4>()?;
        self.bytes = rest;
        Some(u32::from_ne_bytes(*word))
    }

    fn take(&mut self, count: usize) -> Option<Words<'a>> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(Words { bytes: taken })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_libbpfs_names() {
        assert_eq!(CoreKind(0).name(), "byte_off");
        assert_eq!(CoreKind(12).name(), "type_matches");
        assert_eq!(CoreKind(13).to_string(), "kind 13");
    }

    #[track_caller]
    fn check(root: &str, expected: &str) {
        let path = CorePath { root: root.to_owned(), steps: String::new() };
        assert_eq!(path.kernel_type(), expected);
    }

    #[test]
    fn flavours_are_not_the_kernels() {
        check("task_struct", "task_struct");
        check("task_struct___old", "task_struct");
        check("___x", "___x");
        check("a__b", "a__b");
    }

    #[track_caller]
    fn check_records(data: &[u8], expected: Result<&[u8], &str>) {
        assert_eq!(records(data), expected.map_err(str::to_owned));
    }

    #[test]
    fn headers_are_not_trusted() {
        let header =
            |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|word| word.to_ne_bytes()).collect() };
        check_records(&[], Err("it ends within its header"));
        check_records(&header(&[0, 24, 0, 0, 0, 0]), Ok(&[]));
        check_records(&header(&[0, 32, 0, 0, 0, 0, 0, 4, 7]), Ok(&7u32.to_ne_bytes()));
        check_records(&header(&[0, 32, 0, 0, 0, 0, 4, 4, 7]), Err("its CO-RE relocations are cut off"));
        check_records(
            &header(&[0, u32::MAX, 0, 0, 0, 0, u32::MAX, 4]),
            Err("its CO-RE relocations are cut off"),
        );
    }
}
