use bpftally::bpf::{self, Attaching, Loaded};
use bpftally::snapshot::Verdict;
use bpftally::spec::LoadSpec;

use super::{at_work, begin, counted, counting, hand_over, maps, refused, try_hand_over};
use crate::common::kernel::{host, with_tracefs};

const LENIENT: Attaching = Attaching::AsFarAsPossible;

/// Two programs that count under 1 and 2.
const BOTH: &str = r#"GETPPID(one, "raw_tp/sys_enter", 1) GETPPID(two, "raw_tp/sys_enter", 2)"#;

/// There is no such interface.
const NOWHERE: &str = r#"SEC("xdp/no-such-if") int NAME(struct xdp_md *ctx) { return XDP_PASS; }"#;

fn nowhere(name: &str) -> String {
    NOWHERE.replace("NAME", name)
}

fn rejected(name: &str) -> String {
    format!(
        r#"SEC("raw_tp/sys_enter") int {name}(void *ctx) {{ return *(volatile u64 *)(bpf_ktime_get_ns()); }}"#
    )
}

fn both() -> Loaded {
    let loaded = begin(&counting(BOTH, ""));
    assert_eq!(counted(&loaded, 5), [(1, 5), (2, 5)]);
    loaded
}

/// After a refusal both go on counting, in the same maps, and the next object is taken.
#[track_caller]
fn goes_on(mut running: Loaded, before: &[(u32, u64)]) {
    let expected: Vec<(u32, u64)> = before.iter().map(|(key, count)| (*key, count + 3)).collect();
    assert_eq!(counted(&running, 3), expected);
    let map = maps(&running);
    hand_over(&mut running, &counting(BOTH, ""));
    assert_eq!(maps(&running)["counts"], map["counts"]);
    let expected: Vec<(u32, u64)> = expected.iter().map(|(key, count)| (*key, count + 2)).collect();
    assert_eq!(counted(&running, 2), expected);
}

fn verdict(loaded: &Loaded, name: &str) -> (Verdict, String) {
    let found = loaded.verdicts().iter().find(|found| found.program == name).unwrap();
    (found.verdict, found.reason.clone())
}

#[test]
fn programs_come_and_go_and_change_their_names() {
    let mut running = both();
    let next = r#"GETPPID(one, "raw_tp/sys_enter", 1) GETPPID(three, "raw_tp/sys_enter", 3)"#;
    hand_over(&mut running, &counting(next, ""));
    assert_eq!(running.carried(), ["counts"]);
    assert_eq!(at_work(&running), ["one", "three"]);
    assert_eq!(counted(&running, 4), [(1, 9), (2, 5), (3, 4)]);
    let renamed = r#"GETPPID(third, "raw_tp/sys_enter", 3) GETPPID(first, "raw_tp/sys_enter", 1)"#;
    hand_over(&mut running, &counting(renamed, ""));
    assert_eq!(at_work(&running), ["third", "first"]);
    assert_eq!(counted(&running, 1), [(1, 10), (2, 5), (3, 5)]);
    // The same program at another place.
    let moved = r#"SEC("tp_btf/sys_enter") int first(u64 *ctx) { return ctx[1] == NUMBER ? count(1) : 0; }"#;
    hand_over(&mut running, &counting(moved, ""));
    assert_eq!((at_work(&running), running.link_count()), (vec!["first"], 1));
    assert_eq!(counted(&running, 1), [(1, 11), (2, 5), (3, 5)]);
    // And none at all.
    hand_over(&mut running, &counting(moved, "programs: {first: {enabled: false}}"));
    assert_eq!((at_work(&running).len(), running.link_count()), (0, 0));
    assert_eq!(counted(&running, 9), [(1, 11), (2, 5), (3, 5)]);
    hand_over(&mut running, &counting(BOTH, ""));
    assert_eq!(counted(&running, 1), [(1, 12), (2, 6), (3, 5)]);
}

#[test]
fn programs_are_switched_off_and_on() {
    let mut running = both();
    hand_over(&mut running, &counting(BOTH, "programs: {two: {enabled: false}}"));
    assert_eq!((at_work(&running), running.link_count()), (vec!["one"], 1));
    assert_eq!(counted(&running, 4), [(1, 9), (2, 5)]);
    hand_over(&mut running, &counting(BOTH, ""));
    assert_eq!(counted(&running, 1), [(1, 10), (2, 6)]);
}

#[test]
fn optional_programs_may_fail() {
    let mut running = both();
    let three = r#"GETPPID(three, "raw_tp/sys_enter", 3)"#;
    let source = format!("{} {BOTH} {} {three}", nowhere("absent"), rejected("wrong"));
    hand_over(
        &mut running,
        &counting(&source, "programs: {absent: {optional: true}, wrong: {optional: true}}"),
    );
    assert_eq!(at_work(&running), ["one", "two", "three"]);
    assert_eq!(running.problems(), []);
    assert_eq!(counted(&running, 1), [(1, 6), (2, 6), (3, 1)]);
    // One that was at work may fail too, when the config says so.
    let source = format!(r#"{} GETPPID(two, "raw_tp/sys_enter", 2)"#, nowhere("one"));
    hand_over(&mut running, &counting(&source, "programs: {one: {optional: true}}"));
    assert_eq!(verdict(&running, "one").0, Verdict::Unsupported);
    assert_eq!(counted(&running, 1), [(1, 6), (2, 7), (3, 1)]);
}

#[test]
fn all_that_there_is_may_not_fail() {
    for attaching in [LENIENT, Attaching::Strictly] {
        let mut running = both();
        let source = format!("{} {}", nowhere("one"), nowhere("two"));
        let config = "programs: {one: {optional: true}, two: {optional: true}}";
        let problems = refused(&mut running, &counting(&source, config), attaching);
        assert_eq!(problems.len(), 2, "{problems:#?}");
        assert!(problems[0].message.contains("no-such-if"), "{problems:#?}");
        goes_on(running, &[(1, 5), (2, 5)]);
    }
}

#[test]
fn a_program_that_was_at_work_may_not_fail() {
    let failing: [(&str, String); 3] = [
        ("last", format!(r#"GETPPID(one, "raw_tp/sys_enter", 7) {}"#, nowhere("two"))),
        ("first", format!(r#"{} GETPPID(two, "raw_tp/sys_enter", 7)"#, nowhere("one"))),
        ("refused by the verifier", format!(r#"GETPPID(one, "raw_tp/sys_enter", 7) {}"#, rejected("two"))),
    ];
    for (what, source) in &failing {
        println!("{what}");
        let mut running = both();
        let problems = refused(&mut running, &counting(source, ""), LENIENT);
        assert_eq!(problems.len(), 1, "{problems:#?}");
        goes_on(running, &[(1, 5), (2, 5)]);
    }
}

#[test]
fn a_new_program_that_fails_costs_only_itself_unless_strict() {
    let mut running = both();
    let spec = counting(&format!("{} {BOTH}", nowhere("new")), "");
    let problems = refused(&mut running, &spec, Attaching::Strictly);
    assert_eq!(problems[0].place.program.as_deref(), Some("new"), "{problems:#?}");
    assert_eq!(counted(&running, 1), [(1, 6), (2, 6)]);
    hand_over(&mut running, &spec);
    assert_eq!((at_work(&running), running.problems().len()), (vec!["one", "two"], 1));
    assert_eq!(verdict(&running, "new").0, Verdict::Broken);
    assert_eq!(counted(&running, 1), [(1, 7), (2, 7)]);
    // It was broken before: that is no reason to keep the old object.
    hand_over(
        &mut running,
        &counting(&format!(r#"{} GETPPID(one, "raw_tp/sys_enter", 1)"#, nowhere("new")), ""),
    );
    assert_eq!(counted(&running, 1), [(1, 8), (2, 7)]);
}

#[test]
fn the_next_alternative_is_taken() {
    let config = "choose: [[best, next]]";
    let first = r#"GETPPID(best, "raw_tp/sys_enter", 1) GETPPID(next, "?raw_tp/sys_enter", 2) GETPPID(other, "raw_tp/sys_enter", 3)"#;
    let mut running = begin(&counting(first, config));
    assert_eq!(counted(&running, 5), [(1, 5), (3, 5)]);
    let map = maps(&running);
    // It is exchanged last, after the other one.
    let second = format!(
        r#"GETPPID(other, "raw_tp/sys_enter", 3) {} GETPPID(next, "?raw_tp/sys_enter", 2)"#,
        nowhere("best")
    );
    for attaching in [LENIENT, Attaching::Strictly] {
        try_hand_over(&mut running, &counting(&second, config), attaching).unwrap();
        assert_eq!((at_work(&running), running.link_count()), (vec!["other", "next"], 2));
        assert!(verdict(&running, "best").1.contains("no-such-if"), "{:#?}", running.verdicts());
        assert_eq!(maps(&running)["counts"], map["counts"]);
        hand_over(&mut running, &counting(first, config));
        assert_eq!(at_work(&running), ["best", "other"]);
    }
    try_hand_over(&mut running, &counting(&second, config), LENIENT).unwrap();
    assert_eq!(counted(&running, 2), [(1, 5), (2, 2), (3, 7)]);
}

#[test]
fn what_was_prepared_may_be_dropped() {
    let running = both();
    let spec = counting(&BOTH.replace("1)", "7)"), "");
    for _ in 0..3 {
        drop(bpf::prepare(&spec, &host(), &bpf::Options::default(), Some(&running)).unwrap());
    }
    goes_on(running, &[(1, 5), (2, 5)]);
}

/// Kinds side by side in one object, each of which is exchanged and then put back.
const KINDS: &str = r#"
SEC("tracepoint/syscalls/sys_enter_getppid") int plain(void *ctx) { return count(1); }
GETPPID(raw, "raw_tp/sys_enter", 2)
SEC("tp_btf/sys_enter") int typed(u64 *ctx) { return ctx[1] == NUMBER ? count(3) : 0; }
SEC("uprobe//proc/self/exe:post_attach_mark") int entry(void *ctx) { return count(4); }
SEC("uretprobe//proc/self/exe:post_attach_mark") int back(void *ctx) { return count(5); }
SEC("iter/bpf_map") int iterator(void *ctx) { return 0; }
SEC("perf_event/type=1,config=0,frequency=9") int clock(void *ctx) { return 0; }
"#;

#[test]
fn every_kind_is_put_back() {
    with_tracefs(|| {
        let mut running = begin(&counting(KINDS, ""));
        let wrong: LoadSpec = counting(&format!("{KINDS} {}", nowhere("wrong")), "");
        let mut expected = Vec::new();
        for turn in 1..=3 {
            bpf::mark_attached();
            expected = (1..=5).map(|key| (key, if key <= 3 { 2 * turn } else { turn })).collect();
            assert_eq!(counted(&running, 2), expected, "each counts once");
            refused(&mut running, &wrong, Attaching::Strictly);
        }
        hand_over(&mut running, &counting(KINDS, ""));
        assert_eq!(counted(&running, 0), expected);
    });
}
