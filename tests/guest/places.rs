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

/// Calls a function of the loop device's module.
pub fn call_module(times: u32) {
    let device = File::open("/dev/loop0").unwrap();
    for _ in 0..times {
        // A question for other kinds of files, which the block layer hands on to the module.
        assert!(rustix::io::ioctl_fionread(&device).is_err());
    }
}

/// Modules have types of their own from Linux 5.11 on.
#[test]
fn functions_and_types_of_modules_are_found() {
    let exporter = Exporter::launch(&["--config.dir=/guest", "--config.names=module-types,fentry"]);
    call_module(57);
    let calls = |is_right: u32| {
        exporter.value(&format!("ebpf_exporter_module_typed_calls_total{{is_right=\"{is_right}\"}}"))
    };
    let expected = kernel_since(5, 11).then_some(57.0);
    assert_eq!((calls(1), calls(0)), (expected, None), "{}", exporter.log());
}

const BY: [&str; 3] = ["by_pattern", "by_name", "by_section"];

/// Functions of a module that is loaded while the exporter runs, and loaded anew, which takes the probes off. The oldest
/// kernel shows it gone in between; on the others it may be there again before the exporter looks.
#[test]
fn functions_of_modules_that_come_later_are_followed() {
    const CALLS: u32 = 57;
    let load = || run("insmod", &["/modules/loop.ko"]);
    let unload = || run("rmmod", &["loop"]);
    unload();
    let exporter = Exporter::launch(&["--config.dir=/guest", "--config.names=modules"]);
    let places = |program: &str| {
        let labels = format!("{{config=\"modules\",program=\"{program}\"}}");
        exporter.value(&format!("ebpf_exporter_program_places{labels}"))
    };
    let until = |what: &str, is_so: &dyn Fn(&str) -> bool| {
        // A look is followed by a pause of twenty times as long.
        let deadline = Instant::now() + Duration::from_secs(300);
        for program in BY {
            while !is_so(program) {
                assert!(Instant::now() < deadline, "{program}, {what}:\n{}", exporter.log());
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    };
    let attached = |program: &str| {
        let said = format!("msg=attached config=modules program={program} ");
        exporter.log().matches(&said).count()
    };
    let call_and_check = |times: u32| {
        call_module(CALLS);
        for program in 1..=BY.len() {
            let series = format!("ebpf_exporter_module_calls_total{{program=\"{program}\"}}");
            let expected = f64::from(CALLS * times);
            assert_eq!(exporter.value(&series), Some(expected), "{program}: {}", exporter.log());
        }
    };
    assert_eq!(BY.map(places), [Some(0.0); 3], "{}", exporter.log());
    load();
    until("the module came", &|program| places(program) == Some(1.0));
    call_and_check(1);
    unload();
    if !kernel_since(5, 11) {
        until("the module went", &|program| places(program) == Some(0.0));
    }
    load();
    until("it was loaded anew", &|program| attached(program) == 2);
    call_and_check(2);
    assert_eq!(BY.map(places), [Some(1.0); 3], "{}", exporter.log());
}
