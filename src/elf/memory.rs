//! What a map costs the kernel, as far as its definition tells.
//!
//! From `map_mem_usage` of `kernel/bpf/hashtab.c`, `arraymap.c` and `ringbuf.c`, without the
//! few hundred bytes of bookkeeping and without what the allocator rounds up.

use super::{MapInfo, MapKind};

/// `BPF_F_NO_PREALLOC`
const NO_PREALLOC: u32 = 1;
/// `BPF_F_MMAPABLE`
const MMAPABLE: u32 = 1 << 10;
const PAGE: u64 = 4096;
/// `struct htab_elem` before its key, with 64-bit pointers.
const ELEMENT: u64 = 48;
/// `struct bucket`
const BUCKET: u64 = 16;
const POINTER: u64 = 8;

/// An estimate in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Whatever the machine.
    pub bytes: u64,
    /// And once more for each possible CPU.
    pub bytes_per_cpu: u64,
    /// Whether all of it is taken when the map is made; else it is what a full map takes.
    pub is_preallocated: bool,
}

impl MapInfo {
    /// What it costs; none for the kinds that are not known well enough, or without entries.
    #[must_use]
    pub fn memory(&self) -> Option<Memory> {
        let entries = Some(u64::from(self.max_entries)).filter(|entries| *entries > 0)?;
        let (key, value) = (eights(self.key_size), eights(self.value_size));
        let whole = |bytes, bytes_per_cpu| Memory { bytes, bytes_per_cpu, is_preallocated: true };
        let buckets = entries.next_power_of_two().saturating_mul(BUCKET);
        match self.kind {
            MapKind::ARRAY if self.flags & MMAPABLE != 0 => {
                // Its values begin on a page of their own, behind the one of its head.
                Some(whole(entries.saturating_mul(value).next_multiple_of(PAGE).saturating_add(PAGE), 0))
            }
            MapKind::ARRAY => Some(whole(entries.saturating_mul(value), 0)),
            MapKind::PERCPU_ARRAY => Some(whole(entries * POINTER, entries.saturating_mul(value))),
            MapKind::RINGBUF => Some(whole(entries, 0)),
            MapKind::HASH | MapKind::LRU_HASH => {
                let element = ELEMENT + key + value;
                let is_preallocated = self.flags & NO_PREALLOC == 0;
                // An element for each CPU lets an update replace one while the map is full.
                let spare = if is_preallocated && self.kind == MapKind::HASH { element + POINTER } else { 0 };
                let bytes = buckets.saturating_add(entries.saturating_mul(element));
                Some(Memory { bytes, bytes_per_cpu: spare, is_preallocated })
            }
            MapKind::PERCPU_HASH | MapKind::LRU_PERCPU_HASH => {
                let bytes = buckets.saturating_add(entries.saturating_mul(ELEMENT + key + POINTER));
                let is_preallocated = self.flags & NO_PREALLOC == 0;
                Some(Memory { bytes, bytes_per_cpu: entries.saturating_mul(value), is_preallocated })
            }
            _ => None,
        }
    }
}

fn eights(size: u32) -> u64 {
    u64::from(size).next_multiple_of(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: MapKind, flags: u32, entries: u32, expected: Option<(u64, u64, bool)>) {
        let map =
            MapInfo { kind, flags, key_size: 4, value_size: 12, max_entries: entries, ..MapInfo::default() };
        let found = map.memory().map(|memory| (memory.bytes, memory.bytes_per_cpu, memory.is_preallocated));
        assert_eq!(found, expected, "{kind}");
    }

    #[test]
    fn maps_cost_what_the_kernel_says() {
        check(MapKind::ARRAY, 0, 10, Some((160, 0, true)));
        check(MapKind::ARRAY, MMAPABLE, 10, Some((8192, 0, true)));
        check(MapKind::PERCPU_ARRAY, 0, 10, Some((80, 160, true)));
        check(MapKind::HASH, 0, 1000, Some((1024 * 16 + 72_000, 80, true)));
        check(MapKind::HASH, NO_PREALLOC, 1000, Some((1024 * 16 + 72_000, 0, false)));
        check(MapKind::LRU_HASH, 0, 1000, Some((1024 * 16 + 72_000, 0, true)));
        check(MapKind::PERCPU_HASH, 0, 1000, Some((1024 * 16 + 64_000, 16_000, true)));
        check(MapKind::RINGBUF, 0, 65_536, Some((65_536, 0, true)));
        check(MapKind::LPM_TRIE, 1, 10, None);
        check(MapKind::HASH, 0, 0, None);
        check(MapKind::HASH, 0, u32::MAX, Some(((1 << 36) + 72 * u64::from(u32::MAX), 80, true)));
    }
}
