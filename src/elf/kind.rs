//! Kinds of maps by the kernel's numbers and names.

use std::fmt::{Display, Formatter, Result};

/// A kernel map type (`enum bpf_map_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MapKind(pub u32);

/// As libbpf and bpftool write them, in the order of the kernel's numbers.
const NAMES: [&str; 35] = [
    "unspec",
    "hash",
    "array",
    "prog_array",
    "perf_event_array",
    "percpu_hash",
    "percpu_array",
    "stack_trace",
    "cgroup_array",
    "lru_hash",
    "lru_percpu_hash",
    "lpm_trie",
    "array_of_maps",
    "hash_of_maps",
    "devmap",
    "sockmap",
    "cpumap",
    "xskmap",
    "sockhash",
    "cgroup_storage",
    "reuseport_sockarray",
    "percpu_cgroup_storage",
    "queue",
    "stack",
    "sk_storage",
    "devmap_hash",
    "struct_ops",
    "ringbuf",
    "inode_storage",
    "task_storage",
    "bloom_filter",
    "user_ringbuf",
    "cgrp_storage",
    "arena",
    "insn_array",
];

impl MapKind {
    /// `BPF_MAP_TYPE_HASH`
    pub const HASH: Self = Self(1);
    /// `BPF_MAP_TYPE_ARRAY`
    pub const ARRAY: Self = Self(2);
    /// `BPF_MAP_TYPE_PROG_ARRAY`
    pub const PROG_ARRAY: Self = Self(3);
    /// `BPF_MAP_TYPE_PERF_EVENT_ARRAY`
    pub const PERF_EVENT_ARRAY: Self = Self(4);
    /// `BPF_MAP_TYPE_PERCPU_HASH`
    pub const PERCPU_HASH: Self = Self(5);
    /// `BPF_MAP_TYPE_PERCPU_ARRAY`
    pub const PERCPU_ARRAY: Self = Self(6);
    /// `BPF_MAP_TYPE_STACK_TRACE`
    pub const STACK_TRACE: Self = Self(7);
    /// `BPF_MAP_TYPE_LRU_HASH`
    pub const LRU_HASH: Self = Self(9);
    /// `BPF_MAP_TYPE_LRU_PERCPU_HASH`
    pub const LRU_PERCPU_HASH: Self = Self(10);
    /// `BPF_MAP_TYPE_LPM_TRIE`
    pub const LPM_TRIE: Self = Self(11);
    /// `BPF_MAP_TYPE_ARRAY_OF_MAPS`
    pub const ARRAY_OF_MAPS: Self = Self(12);
    /// `BPF_MAP_TYPE_HASH_OF_MAPS`
    pub const HASH_OF_MAPS: Self = Self(13);
    /// `BPF_MAP_TYPE_DEVMAP`
    pub const DEVMAP: Self = Self(14);
    /// `BPF_MAP_TYPE_SOCKMAP`
    pub const SOCKMAP: Self = Self(15);
    /// `BPF_MAP_TYPE_SOCKHASH`
    pub const SOCKHASH: Self = Self(18);
    /// `BPF_MAP_TYPE_CPUMAP`
    pub const CPUMAP: Self = Self(16);
    /// `BPF_MAP_TYPE_DEVMAP_HASH`
    pub const DEVMAP_HASH: Self = Self(25);
    /// `BPF_MAP_TYPE_STRUCT_OPS`
    pub const STRUCT_OPS: Self = Self(26);
    /// `BPF_MAP_TYPE_RINGBUF`
    pub const RINGBUF: Self = Self(27);
    /// `BPF_MAP_TYPE_USER_RINGBUF`
    pub const USER_RINGBUF: Self = Self(31);
    /// `BPF_MAP_TYPE_CGRP_STORAGE`
    pub const CGRP_STORAGE: Self = Self(32);
    /// `BPF_MAP_TYPE_ARENA`
    pub const ARENA: Self = Self(33);
    /// `BPF_MAP_TYPE_INSN_ARRAY`
    pub const INSN_ARRAY: Self = Self(34);

    /// The kernel's name, such as `percpu_hash`; `unknown` for a kind that came after this program.
    #[must_use]
    pub fn name(self) -> &'static str {
        usize::try_from(self.0).ok().and_then(|number| NAMES.get(number)).copied().unwrap_or("unknown")
    }

    /// The kind with a kernel's name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        NAMES.iter().position(|known| *known == name).and_then(|number| u32::try_from(number).ok()).map(Self)
    }

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

    /// Whether its keys are indexes below its capacity.
    #[must_use]
    pub fn is_array(self) -> bool {
        matches!(self, Self::ARRAY | Self::PERCPU_ARRAY)
    }

    /// Whether its keys are indexes and its values maps or numbers: what a key means no type has to tell.
    #[must_use]
    pub fn is_indexed(self) -> bool {
        self.is_array() || self == Self::ARRAY_OF_MAPS
    }

    /// Whether its values are maps.
    #[must_use]
    pub fn is_map_in_map(self) -> bool {
        matches!(self, Self::ARRAY_OF_MAPS | Self::HASH_OF_MAPS)
    }
}

impl Display for MapKind {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        match self.name() {
            "unknown" => write!(out, "map type {}", self.0),
            name => out.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(number: u32, name: &str, scannable: bool) {
        let kind = MapKind(number);
        assert_eq!((kind.name(), kind.is_scannable()), (name, scannable));
    }

    #[test]
    fn kinds_have_the_kernels_names() {
        check(0, "unspec", false);
        check(1, "hash", true);
        check(2, "array", true);
        check(4, "perf_event_array", false);
        check(5, "percpu_hash", true);
        check(6, "percpu_array", true);
        check(9, "lru_hash", true);
        check(10, "lru_percpu_hash", true);
        check(11, "lpm_trie", true);
        check(14, "devmap", false);
        check(25, "devmap_hash", false);
        check(26, "struct_ops", false);
        check(27, "ringbuf", false);
        check(29, "task_storage", false);
        check(33, "arena", false);
        check(34, "insn_array", false);
        check(35, "unknown", false);
        check(u32::MAX, "unknown", false);
    }

    #[test]
    fn names_lead_back_to_kinds() {
        for (number, name) in (0..).zip(NAMES) {
            assert_eq!(MapKind::by_name(name), Some(MapKind(number)));
        }
        assert_eq!(MapKind::by_name("unknown"), None);
        assert_eq!(MapKind(99).to_string(), "map type 99");
        assert_eq!(MapKind::RINGBUF.to_string(), "ringbuf");
    }
}
