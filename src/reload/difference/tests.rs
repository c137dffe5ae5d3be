//! What is to be done, for what is at work and what the files say.

use super::super::samples::{config, error, lost, setting, spec, warning};
use super::*;

/// What is at work of a config: the object's version and its metrics.
struct At<'a> {
    name: &'a str,
    running: Option<Spec>,
    problems: Vec<Problem>,
    seen: Option<Seen>,
    is_current: bool,
    is_in_the_way: bool,
    is_gone: bool,
}

/// A config that runs what its files said.
fn at<'a>(name: &'a str, object: &str, metrics: &[(&str, &str)]) -> At<'a> {
    At {
        name,
        running: Some(spec(name, object, metrics)),
        problems: Vec::new(),
        seen: Some(config(name, object, metrics, Vec::new()).seen()),
        is_current: true,
        is_in_the_way: false,
        is_gone: false,
    }
}

/// A config that does not run.
fn down<'a>(name: &'a str, files: &ReadConfig) -> At<'a> {
    At { running: None, seen: Some(files.seen()), is_current: false, ..at(name, "", &[]) }
}

fn told(name: &str, step: &Step) -> String {
    let codes = |problems: &[Problem]| {
        let codes: Vec<&str> = problems.iter().map(|problem| problem.code).collect();
        codes.join(" ")
    };
    let families = |accepted: &Accepted| {
        let names: Vec<&str> = accepted.spec.view.metrics.iter().map(|metric| metric.name.as_str()).collect();
        names.join(" ")
    };
    match step {
        Step::Load(to) => format!("{name}: load {} [{}]", families(to), codes(&to.problems)),
        Step::View(to) => format!("{name}: view {} [{}]", families(to), codes(&to.problems)),
        Step::Move { from, to } => format!("{name}: move from {from} {}", families(to)),
        Step::Remove => format!("{name}: remove"),
        Step::Refuse { problems, is_in_the_way } => {
            format!("{name}: refuse [{}]{}", codes(problems), if *is_in_the_way { " in the way" } else { "" })
        }
    }
}

fn steps(standing: &[At<'_>], found: Vec<ReadConfig>, rules: Rules) -> Vec<(String, Step)> {
    let standing: Vec<Standing<'_>> = standing
        .iter()
        .map(|at| Standing {
            name: at.name,
            running: at.running.as_ref(),
            problems: &at.problems,
            seen: at.seen.as_ref(),
            is_current: at.is_current,
            is_in_the_way: at.is_in_the_way,
            is_gone: at.is_gone,
        })
        .collect();
    difference(&standing, found, rules)
}

#[track_caller]
fn check_with(rules: Rules, standing: &[At<'_>], found: Vec<ReadConfig>, expected: &[&str]) {
    let steps = steps(standing, found, rules);
    let told: Vec<String> = steps.iter().map(|(name, step)| told(name, step)).collect();
    assert_eq!(told, expected);
}

#[track_caller]
fn check(standing: &[At<'_>], found: Vec<ReadConfig>, expected: &[&str]) {
    check_with(Rules::default(), standing, found, expected);
}

const M: &[(&str, &str)] = &[("m", "help")];

#[test]
fn what_differs_is_done_and_nothing_else() {
    check(&[], vec![config("a", "1", M, vec![])], &["a: load m []"]);
    check(&[at("a", "1", M)], vec![config("a", "1", M, vec![])], &[]);
    check(&[at("a", "1", M)], vec![config("a", "2", M, vec![])], &["a: load m []"]);
    check(&[at("a", "1", M)], vec![config("a", "1", &[("m", "other")], vec![])], &["a: view m []"]);
    check(&[at("a", "1", M)], vec![config("a", "1", &[("n", "help")], vec![])], &["a: view n []"]);
    check(&[At { is_gone: true, ..at("a", "1", M) }], vec![], &["a: remove"]);
    // It may be back in a moment.
    check(&[at("a", "1", M)], vec![], &[]);
}

/// What programs can write can be written beside them; what they were verified with cannot.
#[test]
fn a_variable_takes_no_load_and_a_constant_does() {
    let files = |globals: &[(&str, u8)]| setting(config("a", "1", M, vec![]), globals);
    let running = |globals: &[(&str, u8)]| At {
        running: files(globals).spec,
        seen: Some(files(globals).seen()),
        ..at("a", "1", M)
    };
    let (view, load) = (&["a: view m []"][..], &["a: load m []"][..]);
    for (before, after, expected) in [
        (&[(".data", 1)][..], &[(".data", 2)][..], view),
        (&[(".data", 1)], &[], view),
        (&[], &[(".bss.own", 1)], view),
        (&[(".rodata", 1), (".data", 1)], &[(".rodata", 1), (".data", 2)], view),
        (&[(".rodata", 1)], &[(".rodata", 2)], load),
        (&[(".rodata", 1)], &[], load),
        (&[], &[(".rodata.own", 1)], load),
        (&[(".rodata", 1), (".data", 1)], &[(".rodata", 2), (".data", 2)], load),
    ] {
        check(&[running(before)], vec![files(after)], expected);
    }
    // Another object is another load, whatever else changes.
    let other = setting(config("a", "2", M, vec![]), &[(".data", 2)]);
    check(&[running(&[(".data", 1)])], vec![other], load);
}

#[test]
fn an_unchanged_config_is_not_touched_by_the_change_of_another() {
    check(
        &[at("a", "1", M), at("b", "1", &[("n", "help")])],
        vec![config("a", "1", M, vec![]), config("b", "2", &[("n", "help")], vec![])],
        &["b: load n []"],
    );
}

#[test]
fn what_is_wrong_leaves_what_is_at_work() {
    check(&[at("a", "1", M)], vec![lost("a")], &["a: refuse [wrong]"]);
    let two = &[("m", "help"), ("n", "help")][..];
    // A wrong metric costs a reload whole, and at first only itself.
    check(
        &[at("a", "1", two)],
        vec![config("a", "2", M, vec![error("a", Some("n"))])],
        &["a: refuse [wrong]"],
    );
    check(&[], vec![config("a", "1", M, vec![error("a", Some("n"))])], &["a: load m [wrong]"]);
    check(&[], vec![config("a", "1", &[], vec![error("a", Some("n"))])], &["a: refuse [wrong]"]);
    check(&[], vec![config("a", "1", &[], vec![])], &["a: load  []"]);
    check(&[at("a", "1", M)], vec![config("a", "2", M, vec![warning("a")])], &["a: load m [odd]"]);
}

#[test]
fn where_something_is_wrong_already_the_rest_may_change() {
    let half = || At { problems: vec![error("a", Some("n"))], ..at("a", "1", M) };
    let other = &[("m", "other")][..];
    check(&[half()], vec![config("a", "1", other, vec![error("a", Some("n"))])], &["a: view m [wrong]"]);
    // But what is served is not given up.
    check(&[half()], vec![config("a", "1", &[], vec![error("a", Some("m"))])], &["a: refuse [wrong]"]);
    check(&[half()], vec![config("a", "1", other, vec![error("a", None)])], &["a: refuse [wrong]"]);
    // A program that is not attached is nothing that is wrong with metrics.
    let mut of_program = error("a", None);
    of_program.place.program = Some("p".to_owned());
    let broken = At { problems: vec![of_program], ..at("a", "1", M) };
    check(&[broken], vec![config("a", "1", other, vec![error("a", Some("n"))])], &["a: refuse [wrong]"]);
}

#[test]
fn strict_tolerates_nothing() {
    let rules = Rules { strict: true, ..Rules::default() };
    check_with(
        rules,
        &[at("a", "1", M)],
        vec![config("a", "2", M, vec![warning("a")])],
        &["a: refuse [odd]"],
    );
    check_with(rules, &[], vec![config("a", "1", M, vec![warning("a")])], &["a: refuse [odd]"]);
    check_with(rules, &[at("a", "1", M)], vec![config("a", "2", M, vec![])], &["a: load m []"]);
}

#[test]
fn what_failed_is_tried_again_when_it_changes_or_when_asked_for() {
    let bad = lost("a");
    let retry = Rules { retry: true, ..Rules::default() };
    check(&[down("a", &bad)], vec![bad.clone()], &[]);
    check_with(retry, &[down("a", &bad)], vec![bad], &["a: refuse [wrong]"]);
    let good = config("a", "1", M, vec![]);
    check(&[down("a", &good)], vec![good.clone()], &[]);
    check_with(retry, &[down("a", &good)], vec![good], &["a: load m []"]);
    // What is at work is not loaded again for the asking.
    check_with(retry, &[at("a", "1", M)], vec![config("a", "1", M, vec![])], &[]);
    // Files that say again what is at work are good news.
    let outdated = At { seen: Some(lost("a").seen()), is_current: false, ..at("a", "1", M) };
    check(&[outdated], vec![config("a", "1", M, vec![])], &["a: view m []"]);
}

#[test]
fn what_is_running_wins_a_name() {
    let taken = &[("taken", "mine")][..];
    let yours = &[("taken", "yours")][..];
    // A new config loses its metric, one that runs is refused whole.
    check(
        &[at("b", "1", taken)],
        vec![config("a", "1", &[("taken", "yours"), ("own", "h")], vec![]), config("b", "1", taken, vec![])],
        &["a: load own [metric-conflict]"],
    );
    check(
        &[at("b", "1", taken)],
        vec![config("a", "1", yours, vec![]), config("b", "1", taken, vec![])],
        &["a: refuse [metric-conflict] in the way"],
    );
    check(
        &[at("a", "1", M), at("b", "1", taken)],
        vec![config("a", "1", yours, vec![]), config("b", "1", taken, vec![])],
        &["a: refuse [metric-conflict] in the way"],
    );
    // When the other gives the name up, or goes, it is free.
    check(
        &[at("a", "1", M), at("b", "1", taken)],
        vec![config("a", "1", yours, vec![]), config("b", "1", &[("other", "mine")], vec![])],
        &["a: view taken []", "b: view other []"],
    );
    check(
        &[At { is_gone: true, ..at("b", "2", taken) }],
        vec![config("a", "1", yours, vec![])],
        &["a: load taken []", "b: remove"],
    );
    let waiting = config("a", "1", yours, vec![]);
    let mut seen = down("a", &waiting);
    seen.is_in_the_way = true;
    check(
        &[seen, At { is_gone: true, ..at("b", "2", taken) }],
        vec![waiting],
        &["a: load taken []", "b: remove"],
    );
}

/// A metric that another config had the name of is served when the name is free, and said once until then.
#[test]
fn a_metric_waits_for_its_name() {
    let two = &[("taken", "yours"), ("own", "help")][..];
    let files = || config("b", "1", two, vec![]);
    let half = |spec: Spec| At { running: Some(spec), is_in_the_way: true, ..at("b", "1", two) };
    let without = || half(spec("b", "1", &[("own", "help")]));
    let taken = &[("taken", "mine")][..];
    check(&[at("a", "1", taken), without()], vec![config("a", "1", taken, vec![]), files()], &[]);
    check(
        &[At { is_gone: true, ..at("a", "2", taken) }, without()],
        vec![files()],
        &["a: remove", "b: view taken own []"],
    );
    // Asked for, it is said again.
    check_with(
        Rules { retry: true, ..Rules::default() },
        &[at("a", "1", taken), without()],
        vec![config("a", "1", taken, vec![]), files()],
        &["b: refuse [metric-conflict] in the way"],
    );
    // One that was refused whole is not refused again at every look.
    let whole = At {
        is_in_the_way: true,
        is_current: false,
        seen: Some(files().seen()),
        ..at("b", "1", &[("own", "old")])
    };
    check(&[at("a", "1", taken), whole], vec![config("a", "1", taken, vec![]), files()], &[]);
}

/// A config that is refused goes on with what it has, which then stands in the way of others.
#[test]
fn who_is_refused_keeps_what_it_has() {
    check(
        &[at("a", "1", M), at("b", "1", &[("x", "b's")]), at("c", "1", &[("y", "c's")])],
        vec![
            config("a", "1", &[("x", "a's")], vec![]),
            config("b", "1", &[("y", "b's")], vec![]),
            config("c", "1", &[("y", "c's")], vec![]),
        ],
        &["a: refuse [metric-conflict] in the way", "b: refuse [metric-conflict] in the way"],
    );
}

#[test]
fn it_is_said_what_a_restart_would_decide() {
    let help = |name: &str, is_new: bool, other: &str| {
        let mut standing = vec![at(other, "1", &[("taken", "mine")])];
        if !is_new {
            standing.push(at(name, "1", M));
        }
        let found = vec![
            config(name, "1", &[("taken", "yours")], vec![]),
            config(other, "1", &[("taken", "mine")], vec![]),
        ];
        let steps = steps(&standing, found, Rules::default());
        let [(_, Step::Refuse { problems, .. })] = steps.as_slice() else { panic!("{steps:?}") };
        problems[0].help.clone().unwrap()
    };
    for is_new in [false, true] {
        let early = help("a", is_new, "b");
        assert!(early.contains("a restart would give it to `a`"), "{early}");
        let late = help("b", is_new, "a");
        assert!(!late.contains("a restart would"), "{late}");
    }
}

#[test]
fn another_name_is_no_other_config() {
    check(&[at("a", "1", M)], vec![config("b", "1", M, vec![])], &["b: move from a m"]);
    check(
        &[At { is_gone: true, ..at("a", "1", M) }],
        vec![config("b", "1", M, vec![])],
        &["b: move from a m"],
    );
    check(
        &[At { is_gone: true, ..at("a", "1", M) }],
        vec![config("b", "2", M, vec![])],
        &["a: remove", "b: load m []"],
    );
    // What it has at work does not stand in its own way.
    check(&[at("a", "1", M)], vec![config("b", "1", &[("m", "other")], vec![])], &["b: move from a m"]);
    // One goes on, the copies of it are new.
    check(
        &[at("a", "1", M)],
        vec![config("b", "1", M, vec![]), config("c", "1", &[("n", "help")], vec![])],
        &["b: move from a m", "c: load n []"],
    );
}
