//! Sizes of ring buffers, of which the kernel takes few.

use super::Subject;
use crate::elf::{MapInfo, MapKind};
use crate::problem::Problem;

/// Bytes of a page where pages are smallest.
const PAGE: u32 = 4096;

/// Says which ring buffers are made larger than they were written.
pub(super) fn advise(subject: &Subject<'_>) -> Vec<Problem> {
    subject.info.maps.iter().filter_map(|map| size(subject, map)).collect()
}

fn size(subject: &Subject<'_>, map: &MapInfo) -> Option<Problem> {
    // Without a size the kernel takes none at all, which is another matter.
    if map.kind != MapKind::RINGBUF || map.max_entries == 0 || is_ring(map.max_entries) {
        return None;
    }
    let message = format!("the ring buffer `{}` has a size that no kernel takes", map.name);
    let problem = Problem::warning("ring-size", subject.map_place(&map.name), message)
        .expected(format!("a power of two, {PAGE} or more"))
        .found(format!("{} bytes", map.max_entries));
    Some(match map.max_entries.max(PAGE).checked_next_power_of_two() {
        Some(taken) => problem.help(format!("libbpf makes {taken} of it: write that in the object's source")),
        None => problem.help("make it smaller in the object's source"),
    })
}

fn is_ring(bytes: u32) -> bool {
    bytes >= PAGE && bytes.is_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_powers_of_two_pages() {
        for (bytes, expected) in
            [(0, false), (2048, false), (4096, true), (5000, false), (12_288, false), (1 << 24, true)]
        {
            assert_eq!(is_ring(bytes), expected, "{bytes}");
        }
    }
}
