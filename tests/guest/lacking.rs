use bpftally::host::{Host, Roots};
use caps::{CapSet, Capability};

use crate::common::exporter::Exporter;
use crate::common::kernel::{kernel_since, without_kernel_btf};
use crate::matrix::{self, NO_BTF, pairs};
use crate::{Refused, hooks, release, start};

/// The exporter with one config of this folder, whether or not it is served.
#[track_caller]
fn launch(config: &str, flags: &[&str]) -> Exporter {
    let name = format!("--config.names={config}");
    Exporter::launch(&[&["--config.dir=/guest", &name], flags].concat())
}

#[track_caller]
fn assert_says(exporter: &Exporter, words: &[&str]) {
    let log = exporter.log();
    for word in words {
        assert!(log.contains(word), "`{word}` is not in\n{log}");
    }
}

const CALLS: &str = "ebpf_exporter_kprobe_calls_total{mode=\"0\"}";

#[test]
fn a_kernel_without_btf_is_said_and_a_file_takes_its_place() {
    without_kernel_btf(|btf| {
        let exporter = launch("kprobe", &[]);
        assert_says(&exporter, &["/sys/kernel/btf/vmlinux", "--btf.path"]);
        assert_eq!(exporter.get("/-/ready").status, 503);
        assert_eq!(exporter.value(CALLS), None);
        drop(exporter);

        let flag = format!("--btf.path={}", btf.display());
        let exporter = start("kprobe", &[&flag, "--config.strict"]);
        let calls = Refused::new();
        (0..45).for_each(|_| calls.call(0, 1));
        assert_eq!(exporter.value(CALLS), Some(45.0));
    });
}

/// What is found by the kernel's types is refused with the option that is missing; all other hooks count.
#[test]
fn hooks_without_btf_count_or_say_that_it_is_missing() {
    without_kernel_btf(|_| {
        hooks::check("no BTF", &[], |hook, outcome| {
            (hook.is_by_btf() && hooks::cell(hook, outcome) == NO_BTF).then(|| NO_BTF.to_owned())
        });
        let exporter = Exporter::launch(&["--config.dir=/configs", "--object.dir=/bpf-objects"]);
        for (pair, cell) in pairs(&exporter.page(), &exporter.log()) {
            matrix::record("pairs, no BTF", &pair, &cell);
            assert!(cell == NO_BTF || cell.starts_with("true"), "{pair}: {cell}: {}", exporter.log());
        }
    });
}

/// Before Linux 5.19 reading a map takes CAP_BPF, held or not.
#[test]
fn without_capabilities_maps_are_read_or_it_is_said_what_to_keep() {
    let exporter = launch("kprobe", &["--capabilities.keep=none"]);
    let calls = Refused::new();
    (0..45).for_each(|_| calls.call(0, 1));
    if kernel_since(5, 19) {
        assert_eq!(exporter.value(CALLS), Some(45.0), "{}", exporter.log());
    } else {
        assert_says(&exporter, &["read-refused", "CAP_BPF"]);
        assert_eq!(exporter.value(CALLS), None);
        let success = "ebpf_exporter_config_scrape_success{config=\"kprobe\"}";
        assert_eq!(exporter.value(success), Some(0.0), "{}", exporter.page());
        let landing = exporter.get("/").text();
        assert!(landing.contains(">degraded<") && landing.contains("wants CAP_BPF"), "{landing}");
    }
}

#[test]
fn with_cap_bpf_kept_maps_are_read_on_every_kernel() {
    let exporter = start("kprobe,maps", &["--capabilities.keep=cap_bpf", "--config.strict"]);
    let calls = Refused::new();
    (0..45).for_each(|_| calls.call(8 << 32 | 10 << 24, 7));
    assert_eq!(exporter.value(CALLS), Some(45.0), "{}", exporter.log());
    let prefix = "ebpf_exporter_prefix_bytes{address=\"10.0.0.0\",length=\"8\"}";
    assert_eq!(exporter.value(prefix), Some(7.0), "{}", exporter.log());
}

/// Who sees the addresses of symbols is decided when their list is opened, not when it is read.
#[test]
fn kernel_symbols_have_names_whatever_privilege_is_kept() {
    let host = Host::new(Roots::default());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            caps::drop(None, CapSet::Effective, Capability::CAP_SYSLOG).unwrap();
            host.open_symbols().expect_err("without CAP_SYSLOG addresses are hidden");
        });
    });
    for keep in ["all", "cap_bpf", "cap_bpf,cap_syslog"] {
        let exporter = start("symbols", &[&format!("--capabilities.keep={keep}"), "--config.strict"]);
        let calls = Refused::new();
        (0..3).for_each(|_| calls.call(0, 1));
        let schedule = exporter.value("ebpf_exporter_where_total{function=\"schedule\"}");
        assert_eq!(schedule, Some(3.0), "{keep}: {}", exporter.page());
    }
}

/// kprobe.multi came with Linux 5.18, where fprobes are built in.
#[test]
fn a_kind_that_the_kernel_does_not_know_costs_only_itself() {
    let exporter = launch("multi", &[]);
    let calls = Refused::new();
    (0..45).for_each(|_| calls.call(0, 1));
    assert_eq!(exporter.value("ebpf_exporter_plain_calls_total{mode=\"0\"}"), Some(45.0));
    let multi = exporter.value("ebpf_exporter_multi_calls_total{mode=\"0\"}");
    let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap();
    if symbols.contains(" register_fprobe") {
        assert_eq!(multi, Some(45.0), "{}", exporter.log());
    } else {
        assert_eq!(multi, None);
        let reason = if kernel_since(5, 18) { "CONFIG_FPROBE" } else { "came with Linux 5.18" };
        assert_says(&exporter, &["attach-failed", "on_entry_multi", "kprobe.multi", reason]);
    }
    assert_eq!(symbols.contains(" register_fprobe"), kernel_since(6, 12), "{}", release());
}
