//! What a config changes about its object before it is loaded.

use super::Attach;

/// Bytes of a variable's initial value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalPatch {
    /// How the config names it, such as `settings.limit`: for messages.
    pub name: String,
    /// The section, such as `.rodata`.
    pub section: String,
    /// The first byte, from the beginning of the section.
    pub offset: usize,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Of a bit-field, which bits of the bytes are its own; none when all are.
    pub mask: Option<Vec<u8>>,
}

/// What differs from "load and attach it, and complain if that fails".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramSetting {
    /// The program's name.
    pub name: String,
    /// Whether to load it, whatever its section says.
    pub enabled: Option<bool>,
    /// Whether the config is whole without it.
    pub optional: bool,
    /// Where it is attached, whatever its section says.
    pub attach: Option<Attach>,
}

/// What differs from the object's definition of a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapSetting {
    /// The map's name.
    pub name: String,
    /// Its capacity.
    pub max_entries: Option<u32>,
}

/// What a map is. Of two objects, maps with equal definitions hold the same, so that the one can be handed to the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapDefinition {
    /// The map's name.
    pub name: String,
    /// The kernel's number of its kind.
    pub kind: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Its capacity, as the config sets it.
    pub max_entries: u32,
    /// Flags of its creation.
    pub flags: u32,
    /// What some kinds want beside the flags.
    pub extra: u64,
    /// The NUMA node that it asks for.
    pub numa_node: Option<u32>,
    /// The members of a key and of a value, comparable between objects; empty when it declares no types.
    pub types: [String; 2],
}
