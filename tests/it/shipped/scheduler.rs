//! Who has a CPU, who waits for one, and who sleeps.

use std::process::Child;
use std::time::{Duration, Instant};

use crate::common::exporter::{Exporter, values_of};

use super::groups::{ControlGroup, Usage};
use super::{LEFT_OUT, assert_held, count, eventually, hold, in_page, spinners, start, workload};

#[test]
fn waits_for_a_cpu_add_up() {
    let exporter = start("runqlat");
    let family = "ebpf_exporter_run_queue_latency_seconds";
    let sum = || count(&exporter, &format!("{family}_sum"));
    let before = sum();
    let spinners = spinners(3);
    std::thread::sleep(Duration::from_secs(2));
    // The kernel's own number of each one's wait, in nanoseconds.
    let waited = |child: &Child| -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/schedstat", child.id())).unwrap();
        text.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1e9
    };
    let kernel: f64 = spinners.0.iter().map(waited).sum();
    assert!(kernel > 1.0, "three that share one CPU for 2 s wait for 4 s, but only {kernel} s were");
    // A wait that has not ended yet is in neither; whole microseconds are in ours.
    eventually("the exporter has seen these waits", || sum() - before >= kernel * (0.98 - LEFT_OUT));
    drop(spinners);

    let page = exporter.page();
    let value = |series: &str| in_page(&page, series);
    assert_eq!(value(&format!("{family}_bucket{{le=\"+Inf\"}}")), value(&format!("{family}_count")));
    assert!(page.contains(&format!("{family}_bucket{{le=\"67.108864\"}} ")), "2^26 us is the last bound");
}

#[test]
fn a_wake_up_is_one_wait() {
    const SLEEPS: usize = 500;
    let exporter = start("runqlat");
    let page = || count(&exporter, "ebpf_exporter_run_queue_latency_seconds_count");
    let kernel = || stat("ctxt ");
    let first = hold(kernel, page);
    for _ in 0..SLEEPS {
        std::thread::sleep(Duration::from_millis(1));
    }
    let second = hold(kernel, page);
    let waits = second.page - first.page;
    assert!(waits >= SLEEPS as f64, "{waits} waits of {SLEEPS} sleeps");
    // Each wait ends with a context switch; switches to the idle task end none.
    assert!(waits <= second.after - first.before, "more waits than context switches");
}

#[test]
fn the_run_queues_length_follows_the_queue() {
    const SPINNERS: usize = 20;
    let exporter = start("runqlen");
    let length = || count(&exporter, "ebpf_exporter_run_queue_tasks{cpu=\"0\"}");
    assert!(exporter.page().contains("# TYPE ebpf_exporter_run_queue_tasks gauge\n"));
    let spinners = spinners(SPINNERS);
    eventually("the queue is as long as what was put on it", || length() >= SPINNERS as f64);
    drop(spinners);
    eventually("the queue is short again", || length() < SPINNERS as f64);
}

/// A number of /proc/stat that is alone on its line.
#[track_caller]
fn stat(name: &str) -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap();
    let line = stat.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().parse().unwrap()
}

#[test]
fn context_switches_are_those_of_the_kernel() {
    let exporter = start("switches");
    let of_kind =
        |kind: &str| count(&exporter, &format!("ebpf_exporter_context_switches_total{{kind=\"{kind}\"}}"));
    let page =
        || exporter.values("ebpf_exporter_context_switches_total").iter().map(|(_, count)| count).sum();
    let (voluntary, involuntary) = (of_kind("voluntary"), of_kind("involuntary"));

    let first = hold(|| stat("ctxt "), page);
    let group = ControlGroup::new();
    let sleeps = group.work("sleeps", 500, "");
    let spinners = spinners(2);
    let spins = group.work("wait-beside-spinners", 300, "");
    drop(spinners);
    let second = hold(|| stat("ctxt "), page);
    // The kernel counts a switch a moment before it shows it: one on each CPU is in flight.
    let switches = second.after - first.before;
    assert_held("context switches", &first, &second, 3.0 + switches * LEFT_OUT);

    // At least those of our own, of which the kernel may count one as given up that was stopped by a signal.
    let own = |name: &str| sleeps.get(name) + spins.get(name);
    let shown = |name: &str| own(name) * (1.0 - LEFT_OUT) - 2.0;
    assert!(of_kind("voluntary") - voluntary >= shown("voluntary"));
    assert!(own("involuntary") > 2.0 && of_kind("involuntary") - involuntary >= shown("involuntary"));
}

#[test]
fn moves_between_cpus_count() {
    const MOVES: u32 = 200;
    let exporter = start("switches");
    let family = "ebpf_exporter_task_migrations_total";
    let before = count(&exporter, family);
    ControlGroup::new().work("moves", MOVES, "");
    // It may be on the first CPU already.
    assert!(count(&exporter, family) - before >= f64::from(MOVES) * (1.0 - LEFT_OUT) - 1.0);
}

#[test]
fn time_on_cpus_is_that_of_the_task() {
    let exporter = start("oncpu");
    let family = |what: &str| {
        let series = exporter.values(&format!("ebpf_exporter_on_cpu_time_seconds_{what}"));
        series.iter().map(|(_, value)| value).sum::<f64>()
    };
    let (seconds, times) = (family("sum"), family("count"));
    let begin = Instant::now();
    let usage = ControlGroup::new().work("spin", 500, "");
    let (seconds, times) = (family("sum") - seconds, family("count") - times);
    let wall = begin.elapsed().as_secs_f64();
    let cpus = std::thread::available_parallelism().unwrap().get() as f64;
    assert!(usage.get("cpu") >= 0.5, "{}", usage.get("cpu"));
    // The clocks of the scheduler and of programs are not the same one, but both are in nanoseconds. What ran
    // when it began may have been doing so for long. A time whose end is not shown is added to the next one's.
    assert!(
        (usage.get("cpu") * (0.98 - LEFT_OUT)..=(wall + 10.0) * cpus).contains(&seconds),
        "{seconds} s in {wall} s"
    );
    let switches = usage.get("voluntary") + usage.get("involuntary");
    assert!(times >= switches * (1.0 - LEFT_OUT) - 1.0, "{times} times, {switches} switches");
    assert_whole(&exporter.page(), "on_cpu_time_seconds", "kind=\"voluntary\"");
}

/// That a histogram's count is in its last bucket, and that its buckets do not fall.
#[track_caller]
fn assert_whole(page: &str, family: &str, label: &str) {
    let count = in_page(page, &format!("ebpf_exporter_{family}_count{{{label}}}"));
    let buckets: Vec<f64> = values_of(page, &format!("ebpf_exporter_{family}_bucket"))
        .into_iter()
        .filter(|(labels, _)| labels.iter().any(|(name, value)| format!("{name}=\"{value}\"") == label))
        .map(|(_, count)| count)
        .collect();
    assert!(
        buckets.len() > 10 && buckets.is_sorted() && buckets.last() == Some(&count),
        "{count}: {buckets:?}"
    );
}

#[test]
fn time_off_cpus_is_told_by_its_reason() {
    const TIMES: u32 = 50;
    let exporter = start("offcpu");
    let value = |what: &str, reason: &str| {
        count(&exporter, &format!("ebpf_exporter_off_cpu_time_seconds_{what}{{reason=\"{reason}\"}}"))
    };
    #[track_caller]
    fn check(value: &dyn Fn(&str, &str) -> f64, reason: &str, times: f64, least: f64, work: impl Fn()) {
        let before = (value("count", reason), value("sum", reason));
        work();
        let (count, seconds) = (value("count", reason) - before.0, value("sum", reason) - before.1);
        let shown = 1.0 - LEFT_OUT;
        let right = count >= times * shown && seconds >= least * shown;
        assert!(right, "{reason}: {seconds} s in {count} times");
    }
    // A parent of vfork waits for its child in a state that few are in for long: 20 ms here.
    check(&value, "uninterruptible", f64::from(TIMES), 0.02 * f64::from(TIMES), || {
        workload("vfork", TIMES, "");
    });
    check(&value, "interruptible", f64::from(TIMES), 0.001 * f64::from(TIMES), || {
        ControlGroup::new().work("sleeps", TIMES, "");
    });
    let spinners = spinners(2);
    check(&value, "preempted", 1.0, 0.05, || {
        // Three that share a CPU: this one has it for 100 ms, and is off it for twice as long.
        let usage = ControlGroup::new().work("wait-beside-spinners", 100, "");
        assert!(usage.get("wall") > 0.15, "{}", usage.get("wall"));
    });
    drop(spinners);
    assert_whole(&exporter.page(), "off_cpu_time_seconds", "reason=\"uninterruptible\"");
}

/// The kernel notes a process's last switch in no report of it, and may show it a moment later.
#[track_caller]
fn check_switches(exporter: &Exporter, group: &ControlGroup, usage: &Usage) {
    let value = |kind: &str| group.value(exporter, &format!("cgroup_{kind}_context_switches_total"));
    let kernel = (usage.get("voluntary") + usage.get("involuntary")) * (1.0 - LEFT_OUT) - 1.0;
    eventually("the last switch is seen", || value("voluntary") + value("involuntary") >= kernel);
    for kind in ["voluntary", "involuntary"] {
        // The one more is the last, and one may be in between the two.
        let (kernel, counted) = (usage.get(kind), value(kind));
        assert!(
            (kernel - 1.0..=kernel + 2.0).contains(&counted),
            "{kind}: {counted}, and {kernel} by the kernel"
        );
    }
}

#[test]
fn switches_moves_and_time_belong_to_the_group_that_had_them() {
    const MOVES: u32 = 300;
    let exporter = start("cgroupsched");
    let (sleeper, spinner, mover) = (ControlGroup::new(), ControlGroup::new(), ControlGroup::new());

    let usage = sleeper.work("sleeps", 300, "");
    // A sleep that is over before it began is no switch.
    assert!(usage.get("voluntary") >= 30.0, "{}", usage.get("voluntary"));
    check_switches(&exporter, &sleeper, &usage);

    let begin = Instant::now();
    let usage = spinner.work("spin", 500, "");
    // Longer than the process's own time: that ends when its parent knows, which is before it leaves its CPU.
    let passed = begin.elapsed().as_secs_f64();
    check_switches(&exporter, &spinner, &usage);
    let seconds = spinner.value(&exporter, "cgroup_cpu_time_seconds_total");
    // The kernel's clock may leave out what the machine below this one took away, which is not more than passed.
    let (least, most) = (usage.get("cpu") * (0.98 - LEFT_OUT), passed);
    assert!((least..=most).contains(&seconds), "{seconds} s are not between {least} and {most}");

    mover.work("moves", MOVES, "");
    let moves = mover.value(&exporter, "cgroup_task_migrations_total");
    // It may be on the first CPU when it begins, and be put on another one as it starts.
    let least = f64::from(MOVES) * (1.0 - LEFT_OUT) - 1.0;
    assert!((least..=f64::from(MOVES) + 2.0).contains(&moves), "{moves} moves");
}

#[test]
fn waits_for_a_cpu_belong_to_the_group_that_waited() {
    let exporter = start("cgroupsched");
    let group = ControlGroup::new();
    let spinners = spinners(2);
    let usage = group.work("wait-beside-spinners", 500, "");
    drop(spinners);
    let waited = usage.output.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1e9;
    assert!(waited > 0.25, "with two others on one CPU it waits for a second, but only {waited} s were");
    let seconds = group.value(&exporter, "cgroup_run_queue_latency_seconds_sum");
    // It ends after it has told, and waits a last time perhaps; clocks differ.
    let most = usage.get("wall") - usage.get("cpu") + 0.05;
    assert!(
        (waited * 0.98..=most).contains(&seconds),
        "{seconds} s, {waited} s by the kernel, {most} s at most"
    );
    // Each of its waits ended with a switch to it, of which there is one for each switch away and the first.
    let waits = group.value(&exporter, "cgroup_run_queue_latency_seconds_count");
    let switches = usage.get("voluntary") + usage.get("involuntary");
    assert!(
        (switches * (1.0 - LEFT_OUT) - 1.0..=switches + 3.0).contains(&waits),
        "{waits} waits, {switches} switches"
    );
}
