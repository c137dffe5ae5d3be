//! Sizes of ring buffers, of which the kernel takes few, and whether somebody counts what they lose.

use super::Subject;
use crate::elf::{MapInfo, MapKind};
use crate::problem::Problem;

/// Bytes of a page where pages are smallest.
const PAGE: u32 = 4096;

/// Says which ring buffers are made larger than they were written, and which ones lose events that nobody counts.
pub(super) fn advise(subject: &Subject<'_>) -> Vec<Problem> {
    let maps = &subject.info.maps;
    let sizes = maps.iter().filter_map(|map| size(subject, map));
    sizes.chain(maps.iter().filter_map(|map| uncounted(subject, map))).collect()
}

/// The kernel does not count what a ring buffer has no room for.
fn uncounted(subject: &Subject<'_>, map: &MapInfo) -> Option<Problem> {
    let spec = subject.spec?;
    let is_read = spec.load.buffers.iter().any(|buffer| buffer.map == map.name);
    let is_counted = spec.view.losses.iter().any(|losses| losses.source == map.name);
    if map.kind != MapKind::RINGBUF || !is_read || is_counted {
        return None;
    }
    let message = format!("nobody counts the events that `{}` has no room for", map.name);
    let problem = Problem::note("uncounted-losses", subject.map_place(&map.name), message);
    Some(problem.help(format!(
        "count them where `bpf_ringbuf_reserve` or `bpf_ringbuf_output` fails: \
         `struct event_losses {{ u64 ring_full; }}; struct event_losses {}_losses;`",
        map.name
    )))
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
