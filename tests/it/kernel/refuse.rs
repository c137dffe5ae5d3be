use bpftally::problem::Problem;

use crate::common::kernel::{
    load_spec, try_load, wait_until_no_xdp, with_network, with_tracefs, without_tracefs,
};

/// A program that attaches beside the one that does not.
const GOOD: &str = r#"SEC("raw_tp/sched_process_exec") int good(void *ctx) { return 0; }"#;

/// Loads a program called `bad` beside a good one: it costs only itself. Gives its problem.
#[track_caller]
fn refused(code: &str, bad: &str) -> Problem {
    let loaded =
        try_load(&load_spec("test", &format!("{GOOD}\n{bad}"))).unwrap_or_else(|all| panic!("{all:#?}"));
    assert_eq!(loaded.unattached(), ["bad"]);
    assert_eq!(loaded.link_count(), 1, "the good one is attached");
    let programs = loaded.view().programs.programs();
    let attached: Vec<_> = programs.iter().map(|program| (program.name.as_str(), program.attached)).collect();
    assert_eq!(attached, [("good", true), ("bad", false)]);
    let [problem] = loaded.problems() else { panic!("{:#?}", loaded.problems()) };
    assert_eq!(problem.code, code, "{problem:#?}");
    assert_eq!(problem.place.program.as_deref(), Some("bad"));
    assert_eq!(problem.place.config.as_deref(), Some("test"));
    problem.clone()
}

/// The same with texts that its help or what was found must have.
#[track_caller]
fn check(code: &str, bad: &str, found: &str, help: &str) {
    let problem = refused(code, bad);
    assert!(problem.found.clone().unwrap_or_default().contains(found), "{problem:#?}");
    assert!(problem.help.clone().unwrap_or_default().contains(help), "{problem:#?}");
}

fn program(section: &str) -> String {
    format!("SEC(\"{section}\") int bad(void *ctx) {{ return 0; }}")
}

#[test]
fn a_tracepoint_that_is_not_there_is_named_with_the_closest() {
    with_tracefs(|| {
        check(
            "attach-failed",
            &program("tracepoint/sched/sched_swich"),
            "sched/sched_swich",
            "did you mean `sched/sched_switch`?",
        );
        check("attach-failed", &program("tracepoint/nowhere/at_all"), "nowhere/at_all", "no tracepoint");
    });
}

#[test]
fn tracefs_that_is_not_mounted_is_said_with_the_command() {
    without_tracefs(|| {
        check(
            "attach-failed",
            &program("tracepoint/sched/sched_switch"),
            "sched/sched_switch",
            "mount -t tracefs tracefs /sys/kernel/tracing",
        );
    });
}

#[test]
fn probes_whose_targets_are_missing_are_explained() {
    check("attach-failed", &program("kprobe/no_such_function_here"), "no_such_function_here", "kprobes");
    check("attach-failed", &program("kretprobe/no_such_function_here"), "no_such_function_here", "kprobes");
    check("attach-failed", &program("raw_tp/no_such_tracepoint"), "no_such_tracepoint", "no raw tracepoint");
    check("attach-failed", &program("uprobe//no/such/file:main"), "/no/such/file", "the file must exist");
    check("attach-failed", &program("uprobe//proc/self/exe:zq_zq_zq"), "zq_zq_zq", "`nm -D`");
    check("attach-failed", &program("usdt//proc/self/exe:no:probe"), "USDT", "usdt.bpf.h");
}

#[test]
fn sections_without_a_place_are_explained() {
    for section in ["socket", "tc", "kprobe", "tracepoint", "cgroup/skb", "perf_event", "syscall", "xdp"] {
        let problem = refused("not-attachable", &program(section));
        assert!(problem.message.contains(section), "{problem:#?}");
        assert!(problem.message.contains("no attachment by section name"), "{problem:#?}");
    }
}

#[test]
fn perf_events_that_make_no_sense_are_explained() {
    let expected = "perf_event/type=<number>,config=<number>,frequency=<number> (or period=<number>)";
    for section in
        ["perf_event/type=1", "perf_event/type=1,config=0,often=7", "perf_event/type=x,config=0,frequency=1"]
    {
        let problem = refused("attach-failed", &program(section));
        assert_eq!(problem.expected.as_deref(), Some(expected), "{problem:#?}");
        assert_eq!(problem.found.as_deref(), Some(section));
    }
    // Virtual machines have no such counter, or there is no such type.
    check("attach-failed", &program("perf_event/type=4242,config=0,frequency=9"), "", "no such event");
}

#[test]
fn xdp_without_its_interface_or_beside_another_is_explained() {
    with_network(|| {
        let pass = |section: &str| format!("SEC(\"{section}\") int bad(void *ctx) {{ return 2; }}");
        let problem = refused("attach-failed", &pass("xdp/no-such-if"));
        assert!(problem.message.contains("`no-such-if`"), "{problem:#?}");
        let first =
            try_load(&load_spec("first", r#"SEC("xdp/lo") int first(void *ctx) { return 2; }"#)).unwrap();
        check("attach-failed", &pass("xdp/lo"), "", "another XDP program");
        drop(first);
        wait_until_no_xdp();
        assert_eq!(try_load(&load_spec("next", &pass("xdp/lo"))).unwrap().problems(), []);
    });
}
