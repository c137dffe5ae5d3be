use std::fs::File;
use std::time::{Duration, Instant};

use crate::common::exporter::Exporter;
use crate::common::kernel::{kernel_since, run};
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

/// Functions of a module that is loaded while the exporter runs, and taken out.
#[test]
fn functions_of_modules_that_come_later_are_followed() {
    const CALLS: u32 = 57;
    let load = || run("insmod", &["/modules/loop.ko"]);
    run("rmmod", &["loop"]);
    let exporter = Exporter::launch(&["--config.dir=/guest", "--config.names=modules"]);
    let places = |program: &str| {
        let labels = format!("{{config=\"modules\",program=\"{program}\"}}");
        exporter.value(&format!("ebpf_exporter_program_places{labels}"))
    };
    let wait = |program: &str, expected: f64| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while places(program) != Some(expected) {
            assert!(Instant::now() < deadline, "{program}: {:?}\n{}", places(program), exporter.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let call = || {
        let device = File::open("/dev/loop0").unwrap();
        for _ in 0..CALLS {
            // A question for other kinds of files, which the block layer hands on to the module.
            assert!(rustix::io::ioctl_fionread(&device).is_err());
        }
    };
    let check = |program: u32| {
        let series = format!("ebpf_exporter_module_calls_total{{program=\"{program}\"}}");
        let expected = f64::from(CALLS);
        assert_eq!(exporter.value(&series), Some(expected), "{program}: {}", exporter.log());
    };
    assert_eq!((places("by_pattern"), places("by_name")), (Some(0.0), Some(0.0)), "{}", exporter.log());
    load();
    wait("by_pattern", 1.0);
    wait("by_name", 1.0);
    call();
    check(1);
    check(2);
    run("rmmod", &["loop"]);
    wait("by_pattern", 0.0);
    // As it was for the other tests.
    load();
}
