use crate::common::exporter::{value_of, values_of};
use crate::maps::on_cpu;
use crate::{Refused, start};

use super::{ONLINE, POSSIBLE};

fn list(name: &str) -> String {
    std::fs::read_to_string(format!("/sys/devices/system/cpu/{name}")).unwrap().trim().to_owned()
}

/// Each CPU that is there has its own numbers, and those that are not have none.
#[test]
fn each_cpu_has_its_own_numbers_and_those_that_are_missing_zeros() {
    assert_eq!((list("possible"), list("online")), ("0-7".to_owned(), "0-5".to_owned()));
    assert_eq!(libbpf_rs::num_possible_cpus().unwrap(), POSSIBLE);
    let exporter = start("maps", &["--config.strict"]);
    let calls = Refused::new();
    for cpu in 0..ONLINE {
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
        for cpu in 0..POSSIBLE {
            let value = if cpu < ONLINE { 1_000 * (cpu + 1) + slot } else { 0 };
            expect(format!("slots_total{{cpu=\"{cpu}\",slot=\"{slot}\"}}"), value);
        }
        let all = 1_000 * (ONLINE * (ONLINE + 1) / 2) + slot * ONLINE;
        expect(format!("slot_sums_total{{slot=\"{slot}\"}}"), all);
    }
    let all = 16 * 1_000 * (ONLINE * (ONLINE + 1) / 2) + 120 * ONLINE;
    expect("lengths_total{length=\"0\"}".to_owned(), all);
}

/// Programs of performance events are on the CPUs that are there, and so are run queues.
#[track_caller]
pub fn check_pairs(page: &str) {
    let places = values_of(page, "ebpf_exporter_program_places");
    let faults: Vec<f64> = places
        .iter()
        .filter(|(labels, _)| labels["config"] == "pagefaults")
        .map(|(_, places)| *places)
        .collect();
    assert!(faults.iter().filter(|places| **places == ONLINE as f64).count() >= 2, "{places:?}");
    let queues = values_of(page, "ebpf_exporter_run_queue_tasks");
    assert!((ONLINE..=POSSIBLE).contains(&queues.len()), "{queues:?}");
}
