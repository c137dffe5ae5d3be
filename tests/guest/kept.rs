use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use libbpf_rs::query::ProgInfoIter;

use crate::common::exporter::Exporter;
use crate::common::kernel::{kernel_since, run};
use crate::hooks::{self, Hook};
use crate::places::call_module;
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

/// A module that is loaded anew while nobody is there takes the probes at its functions with it, whoever keeps their links.
#[test]
fn functions_of_modules_are_probed_anew() {
    const CALLS: u32 = 57;
    let launch = || start("modules", &[&format!("--bpf.pin-path={PINS}"), "--config.strict"]);
    let check = |exporter: &Exporter, times: u32| {
        call_module(CALLS);
        for program in 1..=3 {
            let series = format!("ebpf_exporter_module_calls_total{{program=\"{program}\"}}");
            let expected = f64::from(CALLS * times);
            assert_eq!(exporter.value(&series), Some(expected), "{program}: {}", exporter.log());
        }
    };
    let exporter = launch();
    check(&exporter, 1);
    exporter.stop();
    run("rmmod", &["loop"]);
    run("insmod", &["/modules/loop.ko"]);
    let exporter = launch();
    check(&exporter, 2);
    exporter.stop();
    // The older probes do not count beside the newer ones.
    let exporter = launch();
    check(&exporter, 3);
    exporter.stop();
    run("rm", &["-r", PINS]);
}

/// Hooks that the tests on the machine itself do not have, and others that are otherwise on older kernels. All find room
/// beside each other.
const HOOKS: &[&str] = &[
    "kprobe",
    "kretprobe",
    "ksyscall",
    "kprobe.multi",
    "kretprobe.multi",
    "kprobe.session",
    "fentry",
    "fexit",
    "fmod_ret",
    "lsm",
    "lsm.s",
    "lsm_cgroup",
    "tracepoint",
    "uprobe",
    "usdt",
    "perf_event",
    "tc",
    "netkit/primary",
    "netkit/peer",
    "sockops",
    "socket",
];

/// What of a hook stays at work while nobody is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stays {
    Always,
    /// What is no link of the kernel's ends with the process that holds it.
    Never,
    /// A filter is taken off by an exporter that ends, and stays after a crash.
    AfterCrash,
}

fn stays(hook: &Hook) -> Stays {
    match hook.kind {
        // Linux makes links of their performance events since 5.15.
        "kprobe" | "kretprobe" | "ksyscall" | "uprobe" | "tracepoint" | "perf_event"
            if !kernel_since(5, 15) =>
        {
            Stays::Never
        }
        "usdt" | "socket" => Stays::Never,
        "tc" => Stays::AfterCrash,
        _ => Stays::Always,
    }
}

/// The programs that are loaded by their numbers, which the kernel gives once. Before a test there can be some whose
/// exporter has ended just now.
fn loaded() -> BTreeSet<u32> {
    ProgInfoIter::default().map(|program| program.id).collect()
}

/// The kernel removes what nobody holds any more a moment later.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Things happen while the exporter is there and while it is away, after a signal and after a crash.
#[test]
fn each_hook_counts_on_or_is_said_to_begin_anew() {
    hooks::prepare();
    let before = loaded();
    let chosen: Vec<&Hook> = hooks::all().iter().filter(|hook| HOOKS.contains(&hook.kind)).collect();
    assert_eq!(chosen.len(), HOOKS.len());
    let launch = |hooks: &[&Hook], more: &[String]| {
        let flags = [hooks::flags(hooks), more.to_vec()].concat();
        Exporter::launch(&flags.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let keeps = [format!("--bpf.pin-path={PINS}")];
    let crash = |exporter: Exporter| {
        run("kill", &["-9", &exporter.pid().to_string()]);
        drop(exporter);
    };
    hooks::call(&[]);
    let exporter = launch(&chosen, &keeps);
    let page = exporter.page();
    let is_attached = hooks::attached(&page);
    let at_work: Vec<&Hook> = chosen.iter().copied().filter(|hook| is_attached(hook)).collect();
    let expected: Vec<&Hook> =
        chosen.iter().copied().filter(|hook| hooks::expected(hook) == "true").collect();
    let names = |hooks: &[&Hook]| hooks.iter().map(|hook| hook.kind).collect::<Vec<_>>();
    assert_eq!(names(&at_work), names(&expected), "{}", exporter.log());
    hooks::call(&[]);
    crash(exporter);
    hooks::call(&[]);
    let exporter = launch(&chosen, &keeps);
    hooks::call(&[]);
    exporter.stop();
    hooks::call(&[]);
    let exporter = launch(&chosen, &keeps);
    hooks::call(&[]);
    let (page, log) = (exporter.page(), exporter.log());
    let counts = hooks::counts(&page);
    let mut wrong = Vec::new();
    for hook in &at_work {
        // Five times, of which two were in between.
        let times = match stays(hook) {
            Stays::Always => 5,
            Stays::AfterCrash => 4,
            Stays::Never => 3,
        };
        let number = hooks::all().iter().position(|other| other.program == hook.program).unwrap();
        let count = counts.get(&number).copied().unwrap_or_default();
        // The exporter, too, begins to listen at each start.
        let own = if ["fmod_ret", "lsm"].contains(&hook.kind) { 2 } else { 0 };
        if count != hook.seen.of(hooks::TIMES).unwrap() * times + own {
            wrong.push(format!("{}: {count} counted in {times} times", hook.kind));
        }
        let said = format!("it is attached anew by each start\" program={} ", hook.program);
        if log.contains(&said) == (stays(hook) == Stays::Always) {
            wrong.push(format!("{}: what is said is not so", hook.kind));
        }
    }
    assert!(wrong.is_empty(), "{}\n{log}", wrong.join("\n"));
    nothing_stays(exporter, &before, |is_kept| {
        // A filter is the one thing that a crash leaves.
        let are_links: Vec<&Hook> = at_work.iter().copied().filter(|hook| hook.kind != "tc").collect();
        launch(if is_kept { &at_work[..1] } else { &are_links }, if is_kept { &keeps } else { &[] })
    });
}

/// What is kept goes with its config, or with its files, and without the flag nothing is kept.
#[track_caller]
fn nothing_stays(exporter: Exporter, before: &BTreeSet<u32>, launch: impl Fn(bool) -> Exporter) {
    let folders = || std::fs::read_dir(PINS).map_or(0, Iterator::count);
    assert!(folders() > 10);
    exporter.stop();
    let exporter = launch(true);
    assert_eq!(folders(), 1, "{}", exporter.log());
    let of_one = exporter.values("ebpf_exporter_ebpf_program_info").len();
    until("of the configs that are gone something stays", || {
        loaded().difference(before).count() <= of_one * 2
    });
    exporter.stop();
    run("rm", &["-r", PINS]);
    until("something outlives its files", || loaded().is_subset(before));
    let exporter = launch(false);
    hooks::call(&[]);
    run("kill", &["-9", &exporter.pid().to_string()]);
    drop(exporter);
    until("something stays without the flag", || loaded().is_subset(before));
    assert!(!std::path::Path::new(PINS).exists());
}
