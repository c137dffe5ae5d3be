use crate::common::exporter::values_of;
use crate::maps::check_each_cpu;

use super::{ONLINE, POSSIBLE};

fn list(name: &str) -> String {
    std::fs::read_to_string(format!("/sys/devices/system/cpu/{name}")).unwrap().trim().to_owned()
}

/// Each CPU that is there has its own numbers, and those that are not have none.
#[test]
fn each_cpu_has_its_own_numbers_and_those_that_are_missing_zeros() {
    assert_eq!((list("possible"), list("online")), ("0-7".to_owned(), "0-5".to_owned()));
    assert_eq!(libbpf_rs::num_possible_cpus().unwrap(), POSSIBLE);
    check_each_cpu(ONLINE, POSSIBLE);
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
