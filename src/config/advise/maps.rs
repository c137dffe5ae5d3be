//! Maps as the kernel will see them: their sizes, and what is left of their names.

use super::Subject;
use crate::elf::{MapInfo, MapKind};
use crate::problem::Problem;

/// Letters of a map's name that the kernel keeps (`BPF_OBJ_NAME_LEN` with its zero).
const KEPT: usize = 15;

/// Bytes of a page where pages are smallest.
const PAGE: u32 = 4096;

/// What is wrong, or strange, about the object's maps.
pub(super) fn advise(subject: &Subject<'_>) -> Vec<Problem> {
    let maps = &subject.info.maps;
    let mut problems: Vec<Problem> = maps.iter().filter_map(|map| size(subject, map)).collect();
    problems.extend(clashes(subject, maps));
    problems
}

fn size(subject: &Subject<'_>, map: &MapInfo) -> Option<Problem> {
    let place = subject.map_place(&map.name);
    if map.max_entries == 0 && wants_entries(map.kind) {
        let message =
            format!("the map `{}` has no size, and the kernel does not create such a map", map.name);
        let problem = Problem::error("map-size", place, message);
        return Some(problem.expected("`__uint(max_entries, ...)` above 0 in the object's source"));
    }
    if map.kind != MapKind::RINGBUF || is_ring(map.max_entries) {
        return None;
    }
    let message = format!("the ring buffer `{}` has a size that no kernel takes", map.name);
    let problem = Problem::warning("ring-size", place, message)
        .expected(format!("a power of two, {PAGE} or more"))
        .found(format!("{} bytes", map.max_entries));
    Some(match map.max_entries.max(PAGE).checked_next_power_of_two() {
        Some(taken) => problem.help(format!("libbpf makes {taken} of it: write that")),
        None => problem.help("make it smaller"),
    })
}

/// Kinds without a size that the kernel or libbpf chooses.
fn wants_entries(kind: MapKind) -> bool {
    kind.is_scannable()
        || matches!(kind, MapKind::STACK_TRACE | MapKind::PROG_ARRAY | MapKind::RINGBUF)
        || kind.is_map_in_map()
}

fn is_ring(bytes: u32) -> bool {
    bytes >= PAGE && bytes.is_power_of_two()
}

/// Maps whose names the kernel cannot tell apart.
fn clashes(subject: &Subject<'_>, maps: &[MapInfo]) -> Vec<Problem> {
    let kept = |map: &MapInfo| map.name.get(..KEPT).unwrap_or(&map.name).to_owned();
    let clash = |(index, map): (usize, &MapInfo)| {
        let first = maps.get(..index)?.iter().find(|other| kept(other) == kept(map))?;
        let message =
            format!("the kernel cannot tell the names of `{}` and `{}` apart", first.name, map.name);
        Some(
            Problem::warning("map-name", subject.map_place(&map.name), message)
                .expected(format!("names that differ in their first {KEPT} letters"))
                .found(format!("both are `{}` there", kept(map)))
                .help("this exporter tells them apart, `bpftool map` and others do not: rename one in the object's source"),
        )
    };
    maps.iter().enumerate().filter_map(clash).collect()
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
