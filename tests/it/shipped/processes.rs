//! Starts and ends of processes, and what is sent to them.

use crate::common::exporter::Exporter;

use super::groups::ControlGroup;
use super::{assert_held, count, hold, run, shell, start, workload};

#[test]
fn execs_count_in_their_control_group() {
    const EXECS: usize = 200;
    let exporter = start("processes");
    let group = ControlGroup::new();
    let procs = group.path.join("cgroup.procs");
    run(&mut shell(&format!(
        "echo $$ > {}; i=0; while [ $i -lt {EXECS} ]; do /bin/true; i=$((i + 1)); done",
        procs.display()
    )));
    let execs = exporter.values("ebpf_exporter_process_execs_total");
    let of_group = execs.iter().filter(|(labels, _)| labels["cgroup"].ends_with(&group.name));
    assert_eq!(of_group.map(|(_, count)| *count).collect::<Vec<_>>(), [EXECS as f64], "{execs:?}");
}

#[test]
fn forks_are_those_of_the_kernels_own_count() {
    const FORKS: usize = 300;
    let exporter = start("processes");
    let kernel = || {
        let stat = std::fs::read_to_string("/proc/stat").unwrap();
        let line = stat.lines().find_map(|line| line.strip_prefix("processes "));
        line.unwrap().parse::<f64>().unwrap()
    };
    let family = "ebpf_exporter_task_forks_total";
    let page = || exporter.values(family).iter().map(|(_, count)| count).sum();
    let processes = format!("{family}{{kind=\"process\"}}");
    let processes_before = count(&exporter, &processes);
    let first = hold(kernel, page);
    run(&mut shell(&format!("i=0; while [ $i -lt {FORKS} ]; do (:); i=$((i + 1)); done")));
    let second = hold(kernel, page);
    // A fork in flight is in the kernel's count already and not yet an event: one on each CPU.
    let cpus = std::thread::available_parallelism().unwrap().get();
    assert_held("forks", &first, &second, cpus as f64);
    assert!(count(&exporter, &processes) - processes_before >= FORKS as f64);
}

#[test]
fn ends_of_processes_count_once_each() {
    #[track_caller]
    fn check(exporter: &Exporter, series: &str, times: u32, work: impl Fn()) {
        let before = count(exporter, series);
        work();
        assert_eq!(count(exporter, series) - before, f64::from(times), "{series}");
    }
    let exporter = start("processes");
    let code = |code: &str| format!("ebpf_exporter_process_exits_total{{code=\"{code}\"}}");
    check(&exporter, &code("217"), 50, || {
        run(&mut shell("i=0; while [ $i -lt 50 ]; do (exit 217); i=$((i + 1)); done"));
    });
    // The first thread is long gone when another ends the process.
    check(&exporter, &code("218"), 20, || workload("thread-exits", 20, "218"));
    // An exec from another thread ends the first one, and the process goes on.
    check(&exporter, &code("219"), 20, || workload("thread-execs", 20, "exit 219"));
    check(&exporter, &code("99"), 20, || workload("exits", 20, ""));
    check(&exporter, "ebpf_exporter_process_kills_total{signal=\"SIGSTKFLT\"}", 30, || {
        run(&mut shell("i=0; while [ $i -lt 30 ]; do sh -c 'kill -16 $$' || :; i=$((i + 1)); done"));
    });
}

#[test]
fn a_process_whose_threads_leave_last_is_one_process() {
    const TIMES: u32 = 50;
    let exporter = start("processes");
    let kind = |kind: &str| count(&exporter, &format!("ebpf_exporter_task_exits_total{{kind=\"{kind}\"}}"));
    let code = || count(&exporter, "ebpf_exporter_process_exits_total{code=\"0\"}");
    let (threads, zeros) = (kind("thread"), code());
    workload("threads-leave-last", TIMES, "");
    // Five tasks each, of which one, whichever is the last, is the process.
    assert!(kind("thread") - threads >= f64::from(4 * TIMES));
    assert!(code() - zeros >= f64::from(TIMES));
}

#[test]
fn signals_are_told_by_what_became_of_them() {
    const TIMES: u32 = 40;
    let exporter = start("signals");
    let sent = |signal: &str, result: &str| {
        let labels = format!("result=\"{result}\",signal=\"{signal}\"");
        count(&exporter, &format!("ebpf_exporter_signals_sent_total{{{labels}}}"))
    };
    // One is blocked, so that all but the first find it pending; the other is ignored.
    let power = || (sent("SIGPWR", "delivered"), sent("SIGPWR", "already_pending"));
    let (before, ignored) = (power(), sent("SIGRTMIN+7", "ignored"));
    workload("signals", TIMES, "");
    let after = power();
    assert_eq!((after.0 - before.0, after.1 - before.1), (1.0, f64::from(TIMES - 1)));
    assert_eq!(sent("SIGRTMIN+7", "ignored") - ignored, f64::from(TIMES));
}
