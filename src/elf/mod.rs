//! What an object file says of itself, without loading it.

use crate::btf::{Btf, TypeId};

/// A kernel map type (`enum bpf_map_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MapKind(pub u32);

impl MapKind {
    /// `BPF_MAP_TYPE_HASH`
    pub const HASH: Self = Self(1);
    /// `BPF_MAP_TYPE_ARRAY`
    pub const ARRAY: Self = Self(2);
    /// `BPF_MAP_TYPE_PERF_EVENT_ARRAY`
    pub const PERF_EVENT_ARRAY: Self = Self(4);
    /// `BPF_MAP_TYPE_PERCPU_HASH`
    pub const PERCPU_HASH: Self = Self(5);
    /// `BPF_MAP_TYPE_PERCPU_ARRAY`
    pub const PERCPU_ARRAY: Self = Self(6);
    /// `BPF_MAP_TYPE_LRU_HASH`
    pub const LRU_HASH: Self = Self(9);
    /// `BPF_MAP_TYPE_LRU_PERCPU_HASH`
    pub const LRU_PERCPU_HASH: Self = Self(10);
    /// `BPF_MAP_TYPE_LPM_TRIE`
    pub const LPM_TRIE: Self = Self(11);

    /// Whether each entry holds one value for each possible CPU.
    #[must_use]
    pub fn is_per_cpu(self) -> bool {
        matches!(self, Self::PERCPU_HASH | Self::PERCPU_ARRAY | Self::LRU_PERCPU_HASH)
    }

    /// Whether its keys can be walked and each key's value looked up.
    #[must_use]
    pub fn is_scannable(self) -> bool {
        self.is_per_cpu() || matches!(self, Self::HASH | Self::ARRAY | Self::LRU_HASH | Self::LPM_TRIE)
    }
}

/// A program of the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramInfo {
    /// The C function's name.
    pub name: String,
    /// The section, without a leading `?`.
    pub section: String,
    /// False for `SEC("?...")`: libbpf neither loads nor attaches it.
    pub autoload: bool,
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
}

/// What an object holds.
#[derive(Debug)]
pub struct ObjectInfo {
    /// The `license` section's text.
    pub license: Option<String>,
    /// Programs in file order.
    pub programs: Vec<ProgramInfo>,
    /// Maps in file order (without the internal ones for global data).
    pub maps: Vec<MapInfo>,
    /// Global variables.
    pub variables: Vec<Variable>,
    /// The object's types.
    pub btf: Btf,
}

/// Why a file is not an object that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// The file does not start with ELF's magic.
    #[error("not an ELF file")]
    NotElf,
}

impl ObjectInfo {
    /// Reads an object file.
    ///
    /// # Errors
    /// When the bytes are not a whole eBPF object of this machine's endianness with BTF.
    pub fn parse(_bytes: &[u8]) -> Result<Self, ElfError> {
        Err(ElfError::NotElf)
    }

    /// The map with a name.
    #[must_use]
    pub fn map(&self, name: &str) -> Option<&MapInfo> {
        self.maps.iter().find(|map| map.name == name)
    }
}
