use std::net::Ipv4Addr;

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::common::exporter::value_of;
use crate::{Refused, start};

/// Prefixes of an address and how long their calls are.
const PREFIXES: [(u32, [u8; 4], u64); 7] = [
    (0, [0, 0, 0, 0], 1),
    (8, [10, 0, 0, 0], 20),
    (16, [10, 9, 0, 0], 300),
    (24, [10, 9, 8, 0], 4_000),
    (32, [10, 9, 8, 7], 50_000),
    (32, [192, 0, 2, 1], 600_000),
    (31, [192, 0, 2, 2], 7_000_000),
];

fn offset(length: u32, address: [u8; 4]) -> u64 {
    u64::from(length) << 32 | u64::from(u32::from_be_bytes(address))
}

/// Has this thread run on a CPU alone.
pub fn on_cpu(number: usize) {
    let mut cpus = CpuSet::new();
    cpus.set(number);
    sched_setaffinity(None, &cpus).unwrap();
}

#[test]
fn tries_and_per_cpu_maps_are_exact() {
    let exporter = start("maps", &["--config.strict"]);
    let calls = Refused::new();
    for (length, address, value) in PREFIXES {
        calls.call(offset(length, address), value);
    }
    let page = exporter.page();
    for (length, address, value) in PREFIXES {
        let address = Ipv4Addr::from(address);
        let prefix = format!("ebpf_exporter_prefix_bytes{{address=\"{address}\",length=\"{length}\"}}");
        assert_eq!(value_of(&page, &prefix), Some(value as f64), "{prefix} in\n{page}");
        let address = format!("ebpf_exporter_address_bytes{{address=\"{address}\"}}");
        assert_eq!(value_of(&page, &address), Some(value as f64), "{address} in\n{page}");
    }
}

#[test]
fn a_trie_of_thousands_is_read_whole() {
    let exporter = start("maps", &["--config.strict"]);
    let calls = Refused::new();
    let address = |number: u32| number.wrapping_mul(0x9e37_79b1).to_be_bytes();
    for number in 1..=4096 {
        calls.call(offset(32, address(number)), u64::from(number));
    }
    for name in ["prefix_bytes", "address_bytes"] {
        let mut values: Vec<f64> =
            exporter.values(&format!("ebpf_exporter_{name}")).into_iter().map(|(_, value)| value).collect();
        values.sort_by(f64::total_cmp);
        assert!(values.into_iter().eq((1..=4096).map(f64::from)), "{name}");
    }
}

/// Calls on each CPU that is online, and looks for the numbers of each that is possible: zeros of those that are not.
#[track_caller]
pub fn check_each_cpu(online: usize, possible: usize) {
    let exporter = start("maps", &["--config.strict"]);
    let calls = Refused::new();
    for cpu in 0..online {
        on_cpu(cpu);
        for slot in 0..16 {
            calls.call(slot, 1_000 * (cpu as u64 + 1) + slot);
        }
    }
    let page = exporter.page();
    let expect = |series: String, value: usize| {
        let series = format!("ebpf_exporter_{series}");
        assert_eq!(value_of(&page, &series), Some(value as f64), "{series} in\n{page}");
    };
    for slot in 0..16 {
        for cpu in 0..possible {
            let value = if cpu < online { 1_000 * (cpu + 1) + slot } else { 0 };
            expect(format!("slots_total{{cpu=\"{cpu}\",slot=\"{slot}\"}}"), value);
        }
        let all = 1_000 * (online * (online + 1) / 2) + slot * online;
        expect(format!("slot_sums_total{{slot=\"{slot}\"}}"), all);
    }
    let all = 16 * 1_000 * (online * (online + 1) / 2) + 120 * online;
    expect("lengths_total{length=\"0\"}".to_owned(), all);
}

#[test]
fn each_cpu_has_its_own_numbers() {
    let cpus = libbpf_rs::num_possible_cpus().unwrap();
    assert!(cpus > 1);
    check_each_cpu(cpus, cpus);
}
