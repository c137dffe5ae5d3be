//! What an object file says of itself, without loading it.
//!
//! [`ObjectInfo::parse`] refuses only what libbpf refuses, and says why in words
//! that lead to the compiler's flag or the source's line; everything else is for
//! the kernel to judge.

mod core;
mod error;
mod executable;
mod file;
mod findings;
mod floors;
mod helpers;
mod kind;
mod maps;
mod memory;
mod needs;
mod options;
mod placement;
mod pointers;
mod programs;
mod raw_btf;
mod sections;
mod values;
mod variables;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use crate::btf::{Btf, TypeId};

pub use core::{CoreKind, CorePath, CoreRelocation};
pub use error::{ElfError, Guess};
pub use executable::Executable;
pub use floors::{Kernel, flag_names, flags_floor};
pub use helpers::{Helper, is_gpl_compatible};
pub use kind::MapKind;
pub use maps::MAPS_OF_USDT;
pub use memory::Memory;
pub use needs::Need;
pub use options::ALWAYS_SET;
pub use raw_btf::btf_section;
pub use sections::SectionKind;
pub use values::Value;
pub use variables::section_map;

/// A program of the object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramInfo {
    /// The C function's name.
    pub name: String,
    /// The section, without a leading `?`.
    pub section: String,
    /// False for `SEC("?...")`: libbpf neither loads nor attaches it.
    pub autoload: bool,
    /// Numbers of the helpers (`enum bpf_func_id`) that it, or a function that it calls, calls.
    pub helpers: BTreeSet<u32>,
    /// Instructions of it and of every function that it calls, as the kernel gets them.
    pub instructions: u64,
    /// The functions that it calls, and those that they call.
    pub functions: Vec<String>,
    /// The maps that it, or a function that it calls, uses.
    pub maps: BTreeSet<String>,
    /// Functions of the kernel (kfuncs) that it calls.
    pub kernel_functions: BTreeSet<String>,
    /// The first kernel that knows all of its instructions, and the ones that take it.
    pub instruction_floor: Option<(Kernel, &'static str)>,
    /// Whether it takes `CAP_PERFMON`: because it traces, or for what it does with pointers and helpers.
    pub takes_perfmon: bool,
    /// Whether it is to be attached as a filter of tc does as well, which every kernel takes, whatever its section.
    pub is_filter: bool,
}

/// A function of the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionInfo {
    /// Its name.
    pub name: String,
    /// Its section, without a leading `?`.
    pub section: String,
    /// Its own instructions, of 8 bytes each.
    pub instructions: u64,
    /// Whether it is a program; else programs call it.
    pub is_program: bool,
    /// Whether it is static: the verifier then looks at it once for each call.
    pub is_static: bool,
}

/// A map of the object's `.maps` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapInfo {
    /// The variable's name.
    pub name: String,
    /// Which kind of map.
    pub kind: MapKind,
    /// Bytes of a key; 0 where the kind has none.
    pub key_size: u32,
    /// Bytes of a value (of one CPU's value for per-CPU kinds).
    pub value_size: u32,
    /// Capacity; 0 when the object leaves it to be set.
    pub max_entries: u32,
    /// `BPF_F_*` creation flags.
    pub flags: u32,
    /// The key's type, when declared by `__type(key, …)`.
    pub key_type: Option<TypeId>,
    /// The value's type, when declared by `__type(value, …)`.
    pub value_type: Option<TypeId>,
    /// Whether libbpf pins it below the BPF file system by its name.
    pub pinned: bool,
    /// The NUMA node that it asks for.
    pub numa_node: Option<u32>,
    /// What some kinds want beside the flags.
    pub map_extra: u64,
    /// Of a map of maps, what its `values` are declared to be.
    pub inner: Option<Box<MapInfo>>,
}

impl MapInfo {
    /// Whether a metric can be read from it: its keys are walked, or those of the maps that it holds.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        let inner = self.inner.as_deref().filter(|_| self.kind.is_map_in_map());
        inner.map_or(self.kind, |inner| inner.kind).is_scannable()
    }

    /// How many entries there can be; of a map of maps, in all of them together, as large as it declares them.
    #[must_use]
    pub fn most_entries(&self) -> u64 {
        let inner = self.inner.as_deref().filter(|_| self.kind.is_map_in_map());
        u64::from(self.max_entries).saturating_mul(inner.map_or(1, |inner| inner.max_entries.into()))
    }
}

impl Default for MapInfo {
    fn default() -> Self {
        Self {
            name: String::new(),
            kind: MapKind(0),
            key_size: 0,
            value_size: 0,
            max_entries: 0,
            flags: 0,
            key_type: None,
            value_type: None,
            pinned: false,
            numa_node: None,
            map_extra: 0,
            inner: None,
        }
    }
}

/// A global variable in `.data`, `.bss`, `.rodata` or a custom data section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The variable's name.
    pub name: String,
    /// The section it lives in, such as `.rodata`.
    pub section: String,
    /// Offset in the section.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
    /// Its type, which is one of kind `Var`.
    pub type_id: TypeId,
    /// Whether it is `static`.
    pub is_static: bool,
}

/// Something that the object wants the kernel to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extern {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ExternKind,
    /// Whether the object can live without it.
    pub weak: bool,
    /// Its type, which is one of kind `Var` or `Func`.
    pub type_id: TypeId,
}

/// What an object wants from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExternKind {
    /// An option of the kernel's configuration, or a value that libbpf makes up (`__kconfig`).
    Kconfig,
    /// The address of a kernel symbol without a type (`extern const void x __ksym`).
    KernelSymbol,
    /// A kernel variable with its type, found by the kernel's BTF.
    KernelVariable,
    /// A kernel function.
    KernelFunction,
}

/// What an object holds.
#[derive(Debug)]
pub struct ObjectInfo {
    /// The `license` section's text.
    pub license: Option<String>,
    /// Programs in file order.
    pub programs: Vec<ProgramInfo>,
    /// Functions in file order, programs among them.
    pub functions: Vec<FunctionInfo>,
    /// Maps in file order (without the internal ones for global data).
    pub maps: Vec<MapInfo>,
    /// Global variables.
    pub variables: Vec<Variable>,
    /// What it wants from the kernel.
    pub externs: Vec<Extern>,
    /// Whether it holds CO-RE relocations, for which libbpf needs the kernel's BTF.
    pub has_core_relocations: bool,
    /// Its CO-RE relocations; a sentence when `.BTF.ext` cannot be read, which libbpf then ignores.
    pub core_relocations: Result<Vec<CoreRelocation>, String>,
    /// What its data sections hold, by name.
    contents: HashMap<String, Vec<u8>>,
    /// The object's types.
    pub btf: Btf,
}

impl ObjectInfo {
    /// Reads an object file.
    ///
    /// # Errors
    /// When the bytes are not a whole eBPF object of this machine's endianness with BTF.
    pub fn parse(bytes: &[u8]) -> Result<Self, ElfError> {
        let file = file::File::parse(bytes)?;
        if file.section("maps").is_some() {
            return Err(ElfError::LegacyMaps);
        }
        let (programs, functions) = programs::programs(&file)?;
        let Some(section) = file.section(".BTF") else {
            let empty = programs.is_empty() && file.section(".maps").is_none();
            return Err(if empty { ElfError::Empty } else { ElfError::NoBtf });
        };
        let btf = Btf::parse(section.data).map_err(ElfError::BadBtf)?;
        btf.check_references().map_err(ElfError::BadBtf)?;
        let maps = maps::maps(&file, &btf)?;
        if programs.is_empty() && maps.is_empty() {
            return Err(ElfError::Empty);
        }
        let variables = variables::variables(&file, &btf)?;
        Ok(Self {
            license: file.section("license").map(|section| text(section.data)),
            programs,
            functions,
            maps,
            contents: variables::contents(&file, &variables),
            variables,
            externs: variables::externs(&file, &btf)?,
            has_core_relocations: file
                .section(".BTF.ext")
                .is_some_and(|section| programs::has_core_relocations(section.data)),
            core_relocations: core::relocations(&file, &btf),
            btf,
        })
    }

    /// No object, but maps that are in the kernel already, with their types.
    #[must_use]
    pub fn of_maps(maps: Vec<MapInfo>, btf: Btf) -> Self {
        Self {
            license: None,
            programs: Vec::new(),
            functions: Vec::new(),
            maps,
            variables: Vec::new(),
            externs: Vec::new(),
            has_core_relocations: false,
            core_relocations: Ok(Vec::new()),
            contents: HashMap::new(),
            btf,
        }
    }

    /// The map with a name.
    #[must_use]
    pub fn map(&self, name: &str) -> Option<&MapInfo> {
        self.maps.iter().find(|map| map.name == name)
    }

    /// The global variable with a name.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().find(|variable| variable.name == name)
    }

    /// What a variable begins with.
    #[must_use]
    pub fn initial_value(&self, variable: &Variable) -> Value {
        match self.initial_bytes(variable) {
            Some(bytes) => Value::read(&self.btf, variable.type_id, bytes),
            None => Value::zero(&self.btf, variable.type_id, variable.size),
        }
    }

    /// The same as bytes alone, which takes no more room than the file: for what is too much to be told
    /// part by part.
    #[must_use]
    pub fn untold_value(&self, variable: &Variable) -> Value {
        Value::untold(self.initial_bytes(variable), variable.size)
    }

    /// A variable's bytes in the file; none where all are zero, as `.bss` takes no room in it.
    fn initial_bytes(&self, variable: &Variable) -> Option<&[u8]> {
        let bytes = self.contents.get(&variable.section).filter(|bytes| !bytes.is_empty())?;
        let rest = bytes.get(usize::try_from(variable.offset).ok()?..).unwrap_or_default();
        let size = usize::try_from(variable.size).unwrap_or(usize::MAX).min(rest.len());
        rest.get(..size)
    }

    /// Bytes of a section of variables as the file has them.
    #[must_use]
    pub fn section_bytes(&self, section: &str, offset: usize, size: usize) -> Vec<u8> {
        let all = self.contents.get(section).map(Vec::as_slice).unwrap_or_default();
        let mut bytes: Vec<u8> = all.iter().copied().skip(offset).take(size).collect();
        // `.bss` takes no room in the file.
        bytes.resize(size, 0);
        bytes
    }

    /// Whether libbpf needs the kernel's BTF to load it as it is, and cannot on a kernel without.
    #[must_use]
    pub fn needs_kernel_btf(&self) -> bool {
        let typed =
            |wanted: &Extern| matches!(wanted.kind, ExternKind::KernelVariable | ExternKind::KernelFunction);
        let by_section =
            |program: &ProgramInfo| program.autoload && programs::attaches_by_btf(&program.section);
        self.has_core_relocations || self.externs.iter().any(typed) || self.programs.iter().any(by_section)
    }
}

/// The text before the first NUL.
fn text(bytes: &[u8]) -> String {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}
