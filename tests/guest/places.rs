use crate::common::kernel::kernel_since;
use crate::{Refused, start};

/// Functions by the names that the config has for them, whatever the sections say.
#[test]
fn functions_of_the_kernel_are_named_by_the_config() {
    let exporter = start("places", &["--config.strict"]);
    let calls = Refused::new();
    (0..57).for_each(|_| calls.call(0, 1));
    let count =
        |program: u32| exporter.value(&format!("ebpf_exporter_placed_calls_total{{program=\"{program}\"}}"));
    for program in 1..=4 {
        assert_eq!(count(program), Some(57.0), "{program}: {}\n{}", exporter.log(), exporter.page());
    }
    // Debian's kernels have what it takes from 6.12 on.
    let by_pattern = if kernel_since(6, 12) { Some(57.0) } else { None };
    assert_eq!(count(5), by_pattern, "{}", exporter.log());
    assert_eq!(count(6), None);
    let verdict =
        "ebpf_exporter_program_verdict{config=\"places\",program=\"by_nothing\",verdict=\"unsupported\"}";
    assert_eq!(exporter.value(verdict), Some(1.0), "{}", exporter.page());
}
