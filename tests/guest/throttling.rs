use crate::common::exporter::Exporter;
use crate::shipped::groups::ControlGroup;

/// A line of a control group's cpu.stat.
#[track_caller]
fn stat(group: &ControlGroup, name: &str) -> f64 {
    let text = std::fs::read_to_string(group.path.join("cpu.stat")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim().parse().unwrap()
}

#[track_caller]
fn check(exporter: &Exporter) {
    std::fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+cpu").unwrap();
    let (bounded, free) = (ControlGroup::new(), ControlGroup::new());
    // A fifth of a CPU, for a process that wants 0.3 s of one.
    std::fs::write(bounded.path.join("cpu.max"), "20000 100000").unwrap();
    bounded.work("spin", 300, "");
    free.work("spin", 300, "");
    assert!(stat(&bounded, "nr_throttled ") >= 2.0);

    let seconds = bounded.value(exporter, "cgroup_cfs_throttled_time_seconds_sum");
    let kernel = stat(&bounded, "throttled_usec ") / 1e6;
    // Both are differences of the same readings of the run queue's clock; the kernel's is cut to microseconds.
    assert!((seconds - kernel).abs() <= 0.001 + kernel / 100.0, "{seconds} s, and {kernel} s by the kernel");
    // As often as a run queue of the group was throttled, which is once in a period or for each of two CPUs. An
    // emulated clock misses periods, which the kernel counts as throttled when it finds out.
    let times = bounded.value(exporter, "cgroup_cfs_throttled_time_seconds_count");
    let periods = stat(&bounded, "nr_throttled ");
    assert!((periods * 0.5..=periods * 2.0).contains(&times), "{times} times in {periods} periods");
    assert_eq!(free.value(exporter, "cgroup_cfs_throttled_time_seconds_count"), 0.0);
}

#[test]
fn time_without_quota_is_that_of_the_kernel() {
    let shipped = ["--config.dir=/configs", "--object.dir=/bpf-objects", "--config.names=cfsthrottling"];
    crate::matrix::record("compared", "cfsthrottling", "true");
    check(&Exporter::start(&[&shipped[..], &["--config.strict"]].concat()));
}

#[test]
fn time_without_quota_is_the_same_by_probes_of_the_older_kind() {
    let text = std::fs::read_to_string("/configs/cfsthrottling.yaml").unwrap();
    let older = text.replace("[unthrottle_entry, unthrottle_probe]", "[unthrottle_probe, unthrottle_entry]");
    let older = older.replace("[unthrottle_exit, unthrottle_return]", "[unthrottle_return, unthrottle_exit]");
    assert_ne!(older, text);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cfsthrottling.yaml"), older).unwrap();
    let folder = format!("--config.dir={}", folder.path().display());
    let exporter = Exporter::start(&[&folder, "--object.dir=/bpf-objects", "--config.strict"]);
    let probe = "ebpf_exporter_program_verdict{config=\"cfsthrottling\",program=\"unthrottle_probe\",verdict=\"attached\"}";
    assert_eq!(exporter.value(probe), Some(1.0));
    check(&exporter);
}
