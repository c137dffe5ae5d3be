//! All BPF of the machine, against what the kernel tells of each program and map that is asked for by its number.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, OwnedFd};

use libbpf_rs::query::{MapInfoIter, ProgInfoIter, ProgInfoQueryOptions, ProgramInfo};
use libbpf_rs::{MapType, Program};

use super::{eventually, start_with};
use crate::common::exporter::values_of;

/// The values of a family by the id of their object. Objects of others come and go from page to page.
fn by_id(page: &str, family: &str) -> BTreeMap<u32, f64> {
    let series = values_of(page, &format!("ebpf_exporter_bpf_{family}"));
    series.into_iter().map(|(labels, value)| (labels["id"].parse().unwrap(), value)).collect()
}

fn programs() -> BTreeMap<u32, ProgramInfo> {
    let options = ProgInfoQueryOptions::default().include_jited_prog_insns(true);
    ProgInfoIter::with_query_opts(options).map(|program| (program.id, program)).collect()
}

/// Memory of a program, as the kernel accounts for it.
fn memory(id: u32) -> Option<f64> {
    let program: OwnedFd = Program::fd_from_id(id).ok()?;
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_raw_fd())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("memlock:")).unwrap();
    Some(line.trim().parse().unwrap())
}

fn is_of_each_cpu(kind: MapType) -> bool {
    matches!(
        kind,
        MapType::PercpuHash | MapType::PercpuArray | MapType::LruPercpuHash | MapType::PercpuCgroupStorage
    )
}

#[test]
fn programs_run_as_often_as_the_kernel_says() {
    let exporter = start_with("bpfobjects", &["--bpf.stats=on"]);
    let other = start_with("switches", &[]);
    // Statistics of programs that run all the time, read before and after.
    let before = programs();
    let page = exporter.page();
    let (runs, times) = (by_id(&page, "program_runs_total"), by_id(&page, "program_run_time_seconds_total"));
    let (jited, bytes) = (by_id(&page, "program_jited_bytes"), by_id(&page, "program_memory_bytes"));
    let after = programs();
    let (mut seen, mut switched) = (0, false);
    for (id, first) in &before {
        // Those of others may have gone meanwhile.
        let (Some(last), Some(counted)) = (after.get(id), runs.get(id)) else { continue };
        let range = first.run_cnt as f64..=last.run_cnt as f64;
        assert!(range.contains(counted), "program {id} ({:?}): {counted} in {range:?}", first.name);
        let range = first.run_time_ns as f64 / 1e9 - 1e-6..=last.run_time_ns as f64 / 1e9 + 1e-6;
        assert!(range.contains(&times[id]), "program {id}: {} in {range:?}", times[id]);
        assert_eq!(jited[id], first.jited_prog_insns.len() as f64, "program {id}");
        if let Some(memory) = memory(*id) {
            assert_eq!(bytes[id], memory, "program {id}");
        }
        seen += 1;
        switched |= first.name == "switched" && *counted > 0.0;
    }
    assert!(seen >= 4 && switched, "{seen} programs: {runs:?}");
    drop(other);
}

#[test]
fn maps_have_the_room_that_the_kernel_says() {
    let exporter = start_with("bpfobjects", &[]);
    let cpus = libbpf_rs::num_possible_cpus().unwrap() as f64;
    let maps: BTreeMap<u32, _> = MapInfoIter::default().map(|map| (map.id, map)).collect();
    let page = exporter.page();
    let (entries, bytes) = (by_id(&page, "map_max_entries"), by_id(&page, "map_capacity_bytes"));
    let mut seen = 0;
    for (id, map) in &maps {
        let Some(counted) = entries.get(id) else { continue };
        assert_eq!(*counted, f64::from(map.max_entries), "map {id}");
        let value = match is_of_each_cpu(map.ty) {
            true => f64::from(map.value_size.next_multiple_of(8)) * cpus,
            false => f64::from(map.value_size),
        };
        let expected = match map.ty {
            MapType::RingBuf | MapType::UserRingBuf => f64::from(map.max_entries),
            _ => f64::from(map.max_entries) * (f64::from(map.key_size) + value),
        };
        assert_eq!(bytes[id], expected, "map {id} ({:?})", map.name);
        seen += 1;
    }
    assert!(seen >= 3, "{entries:?}");
}

#[test]
fn objects_that_are_gone_leave_the_page() {
    let exporter = start_with("bpfobjects", &[]);
    let other = start_with("switches", &[]);
    let named = |family: &str, name: &str| -> Vec<String> {
        let series = exporter.values(&format!("ebpf_exporter_bpf_{family}"));
        let named = series.into_iter().filter(|(labels, _)| labels["name"] == name);
        named.map(|(labels, _)| labels["id"].clone()).collect()
    };
    let (programs, maps) =
        (named("program_runs_total", "migrated"), named("map_max_entries", "context_switche"));
    assert!(!programs.is_empty() && !maps.is_empty(), "{programs:?} {maps:?}");
    drop(other);
    // The kernel frees both a moment after their process is gone; other tests may have some of the same names.
    eventually("they are gone", || {
        let (programs_now, maps_now) =
            (named("program_runs_total", "migrated"), named("map_max_entries", "context_switche"));
        !programs.iter().all(|id| programs_now.contains(id)) && !maps.iter().all(|id| maps_now.contains(id))
    });
}
