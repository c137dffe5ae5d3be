use std::collections::BTreeSet;

use crate::common::exporter::Exporter;
use crate::common::kernel::{kernel_since, run};
use crate::{Refused, start};

const PINS: &str = "/sys/fs/bpf/kept";

/// The kernel's numbers of the programs that are at work.
fn programs(exporter: &Exporter) -> BTreeSet<String> {
    let found = exporter.values("ebpf_exporter_ebpf_program_info");
    found.iter().map(|(labels, _)| labels["id"].clone()).collect()
}

/// Calls are made while the exporter is there and while it is away, after a signal and after a crash.
#[track_caller]
fn check(config: &str, series: &str, is_kept: bool) {
    let flags = [&*format!("--bpf.pin-path={PINS}"), "--config.strict"];
    let calls = Refused::new();
    let call = |times: u32| (0..times).for_each(|_| calls.call(0, 1));
    let (mut expected, mut before) = (0, None);
    for (turn, crashes) in [false, true, false].into_iter().enumerate() {
        let exporter = start(config, &flags);
        let now = programs(&exporter);
        assert_eq!(before.is_none_or(|before| before == now), is_kept || turn == 0, "{config}: {now:?}");
        before = Some(now);
        call(11);
        expected += 11;
        assert_eq!(exporter.value(series), Some(f64::from(expected)), "{config}, {turn}: {}", exporter.log());
        let is_said = exporter.log().contains("attached anew by each start");
        assert_eq!(is_said, !is_kept, "{config}: {}", exporter.log());
        let is_shown = exporter.get("/").text().contains("attached anew by each start");
        assert_eq!(is_shown, !is_kept, "{config}");
        if crashes {
            run("kill", &["-9", &exporter.pid().to_string()]);
            drop(exporter);
        } else {
            exporter.stop();
        }
        call(7);
        expected += if is_kept { 7 } else { 0 };
    }
    run("rm", &["-r", PINS]);
    // Nothing of it counts on, and without the flag nothing stays.
    let exporter = start(config, &["--config.strict"]);
    call(3);
    assert_eq!(exporter.value(series), Some(3.0), "{config}: {}", exporter.log());
    exporter.stop();
    assert!(!std::path::Path::new(PINS).exists());
}

/// Kprobes have links since Linux 5.15; those of functions by their types always had.
#[test]
fn restarts_miss_no_call_where_the_kernel_keeps_links() {
    check("kprobe", "ebpf_exporter_kprobe_calls_total{mode=\"0\"}", kernel_since(5, 15));
    check("fentry", "ebpf_exporter_fentry_calls_total{mode=\"0\"}", true);
}
