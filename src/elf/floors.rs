//! Since which kernel there are kinds of maps, their flags, and instructions.
//!
//! From the history of `include/uapi/linux/bpf.h` and `kernel/bpf/verifier.c`: the first
//! release that had them. What is not known for sure is left out. Kinds and flags are
//! cross-checked as helpers are (`helpers.rs`).

use std::fmt::{Display, Formatter, Result};

use super::MapKind;

/// A kernel release, such as 5.10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kernel(pub u8, pub u8);

impl Display for Kernel {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        write!(out, "{}.{}", self.0, self.1)
    }
}

/// In the order of the kernel's numbers, from `hash` to `arena`.
const MAPS: [Kernel; 33] = [
    Kernel(3, 19),
    Kernel(3, 19),
    Kernel(4, 2),
    Kernel(4, 3),
    Kernel(4, 6),
    Kernel(4, 6),
    Kernel(4, 6),
    Kernel(4, 8),
    Kernel(4, 10),
    Kernel(4, 10),
    Kernel(4, 11),
    Kernel(4, 12),
    Kernel(4, 12),
    Kernel(4, 14),
    Kernel(4, 14),
    Kernel(4, 15),
    Kernel(4, 18),
    Kernel(4, 18),
    Kernel(4, 19),
    Kernel(4, 19),
    Kernel(4, 20),
    Kernel(4, 20),
    Kernel(4, 20),
    Kernel(5, 2),
    Kernel(5, 4),
    Kernel(5, 6),
    Kernel(5, 8),
    Kernel(5, 10),
    Kernel(5, 11),
    Kernel(5, 16),
    Kernel(6, 1),
    Kernel(6, 2),
    Kernel(6, 9),
];

/// `BPF_F_*` by bit, from bit 0.
const FLAGS: [(&str, Option<Kernel>); 20] = [
    ("NO_PREALLOC", Some(Kernel(4, 6))),
    ("NO_COMMON_LRU", Some(Kernel(4, 10))),
    ("NUMA_NODE", Some(Kernel(4, 14))),
    ("RDONLY", Some(Kernel(4, 15))),
    ("WRONLY", Some(Kernel(4, 15))),
    ("STACK_BUILD_ID", Some(Kernel(4, 17))),
    ("ZERO_SEED", Some(Kernel(5, 0))),
    ("RDONLY_PROG", Some(Kernel(5, 2))),
    ("WRONLY_PROG", Some(Kernel(5, 2))),
    ("CLONE", Some(Kernel(5, 4))),
    ("MMAPABLE", Some(Kernel(5, 5))),
    ("PRESERVE_ELEMS", Some(Kernel(5, 10))),
    ("INNER_MAP", Some(Kernel(5, 10))),
    ("LINK", Some(Kernel(6, 4))),
    ("PATH_FD", Some(Kernel(6, 5))),
    ("VTYPE_BTF_OBJ_FD", Some(Kernel(6, 9))),
    ("TOKEN_FD", Some(Kernel(6, 9))),
    ("SEGV_ON_FAULT", Some(Kernel(6, 9))),
    ("NO_USER_CONV", Some(Kernel(6, 9))),
    ("RB_OVERWRITE", None),
];

impl MapKind {
    /// The first kernel that had this kind of map.
    #[must_use]
    pub fn floor(self) -> Option<Kernel> {
        MAPS.get(usize::try_from(self.0).ok()?.checked_sub(1)?).copied()
    }
}

/// The names of a map's creation flags, without `BPF_F_`; of an unknown bit its number.
#[must_use]
pub fn flag_names(flags: u32) -> Vec<String> {
    let bits = (0..32).filter(|bit| flags & (1 << bit) != 0);
    bits.map(|bit| {
        FLAGS.get(bit).map_or_else(|| format!("0x{:x}", 1u32 << bit), |(name, _)| (*name).to_owned())
    })
    .collect()
}

/// The first kernel that had all of a map's creation flags.
#[must_use]
pub fn flags_floor(flags: u32) -> Option<Kernel> {
    FLAGS
        .iter()
        .enumerate()
        .filter(|(bit, _)| flags & (1 << bit) != 0)
        .filter_map(|(_, (_, floor))| *floor)
        .max()
}

/// The first kernel whose verifier knows an instruction, where that is later than eBPF itself.
/// `code` is the instruction's first byte; the others are its offset and immediate.
#[must_use]
pub fn instruction_floor(code: u8, offset: i16, immediate: i32) -> Option<(Kernel, &'static str)> {
    const JMP32: u8 = 0x06;
    match (code & 0x07, code) {
        // A jump without condition in this class carries 32 bits.
        (JMP32, 0x06) => Some((Kernel(6, 6), "32-bit jump offsets")),
        (JMP32, _) => Some((Kernel(5, 1), "32-bit comparisons")),
        // Before, the mode meant the addition of memory alone.
        (_, 0xc3 | 0xdb) if immediate != 0 => match immediate {
            0x01 | 0x40 | 0x41 | 0x50 | 0x51 | 0xa0 | 0xa1 | 0xe1 | 0xf1 => {
                Some((Kernel(5, 12), "atomic instructions"))
            }
            _ => None,
        },
        (_, 0x81 | 0x89 | 0x91) => Some((Kernel(6, 6), "sign-extending loads")),
        (_, 0xd7) => Some((Kernel(6, 6), "unconditional byte swaps")),
        (_, 0xbc | 0xbf) if offset != 0 && offset != 1 => Some((Kernel(6, 6), "sign-extending moves")),
        (_, 0x34 | 0x37 | 0x3c | 0x3f | 0x94 | 0x97 | 0x9c | 0x9f) if offset == 1 => {
            Some((Kernel(6, 6), "signed divisions"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_map(name: &str, expected: Option<Kernel>) {
        assert_eq!(MapKind::by_name(name).and_then(MapKind::floor), expected, "{name}");
    }

    #[test]
    fn kinds_of_maps_have_floors() {
        check_map("unspec", None);
        check_map("hash", Some(Kernel(3, 19)));
        check_map("percpu_array", Some(Kernel(4, 6)));
        check_map("lru_percpu_hash", Some(Kernel(4, 10)));
        check_map("lpm_trie", Some(Kernel(4, 11)));
        check_map("hash_of_maps", Some(Kernel(4, 12)));
        check_map("devmap_hash", Some(Kernel(5, 4)));
        check_map("ringbuf", Some(Kernel(5, 8)));
        check_map("bloom_filter", Some(Kernel(5, 16)));
        check_map("cgrp_storage", Some(Kernel(6, 2)));
        check_map("arena", Some(Kernel(6, 9)));
        check_map("insn_array", None);
        assert_eq!(MapKind(u32::MAX).floor(), None);
    }

    #[test]
    fn flags_have_names() {
        assert_eq!(flag_names(0), Vec::<String>::new());
        assert_eq!(flag_names(1 | 1 << 10), ["NO_PREALLOC", "MMAPABLE"]);
        assert_eq!(flag_names(1 << 19 | 1 << 31), ["RB_OVERWRITE", "0x80000000"]);
        assert_eq!((flags_floor(1 | 1 << 10), flags_floor(0)), (Some(Kernel(5, 5)), None));
    }

    #[track_caller]
    fn check(code: u8, offset: i16, immediate: i32, expected: Option<Kernel>) {
        assert_eq!(
            instruction_floor(code, offset, immediate).map(|(kernel, _)| kernel),
            expected,
            "{code:#x}"
        );
    }

    #[test]
    fn instructions_have_floors() {
        check(0xb7, 0, 1, None);
        check(0x85, 0, 1, None);
        check(0xdb, 0, 0, None);
        check(0xdb, 8, 1, Some(Kernel(5, 12)));
        check(0xc3, 8, 0xf1, Some(Kernel(5, 12)));
        check(0x16, 3, 0, Some(Kernel(5, 1)));
        check(0x06, 0, 9, Some(Kernel(6, 6)));
        check(0x91, 0, 0, Some(Kernel(6, 6)));
        check(0xbf, 0, 0, None);
        check(0xbf, 8, 0, Some(Kernel(6, 6)));
        check(0x37, 0, 2, None);
        check(0x3f, 1, 0, Some(Kernel(6, 6)));
        check(0xd7, 0, 64, Some(Kernel(6, 6)));
    }
}
