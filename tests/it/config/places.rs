//! `attach`: what it means, and what is said when it cannot be.

use std::sync::OnceLock;

use bpftally::config::{Checked, ConfigFile, check_text};
use bpftally::host::CgroupPattern;
use bpftally::spec::{Attach, Cgroups, Direction};

use super::{brief, options};
use crate::common::objects::Object;

const SOURCE: &str = r#"
SEC("cgroup/skb") int skb(void *context) { return 1; }
SEC("cgroup_skb/ingress") int skb_in(void *context) { return 1; }
SEC("cgroup/connect4") int connect(void *context) { return 1; }
SEC("raw_tp/sched_switch") int raw(void *context) { return 0; }
SEC("odd/section") int odd(void *context) { return 0; }
"#;

fn checked(program: &str, attach: &str) -> Checked {
    static OBJECT: OnceLock<Object> = OnceLock::new();
    let object = OBJECT.get_or_init(|| Object::of(SOURCE));
    let text = format!("programs: {{{program}: {{attach: {attach}}}}}\nmetrics: {{counters: []}}\n");
    check_text(&ConfigFile::new("/configs/test.yaml"), &text, &object.file(), &options())
}

#[track_caller]
fn good(program: &str, attach: &str, expected: Attach) {
    let checked = checked(program, attach);
    assert_eq!(brief(&checked.problems), [""; 0], "{attach}: {:#?}", checked.problems);
    let settings = checked.spec.unwrap().load.programs;
    assert_eq!(settings[0].attach, Some(expected), "{attach}");
}

/// One problem of this code, with all these texts in what it says.
#[track_caller]
fn bad(program: &str, attach: &str, code: &str, texts: &[&str]) {
    let checked = checked(program, attach);
    let [problem] = checked.problems.as_slice() else { panic!("{attach}: {:#?}", checked.problems) };
    assert_eq!(problem.code, code, "{attach}: {problem:#?}");
    assert!(problem.place.position.is_some() && checked.spec.is_none(), "{attach}: {problem:#?}");
    for text in texts {
        assert!(problem.to_string().contains(text), "{attach}: {text} is not in {problem}");
    }
}

#[test]
fn a_kind_has_to_fit_the_program() {
    bad("connect", "{}", "attach-kind", &["does not name one kind", "`cgroup`", "0"]);
    bad("connect", "{x-mine: 1, cgroup: 5}", "wrong-type", &["cgroup"]);
    bad("connect", "5", "wrong-type", &["attach"]);
    bad("raw", "{cgroup: {path: /}}", "attach-kind", &["`raw` is a program of the type raw_tracepoint"]);
    bad("odd", "{cgroup: {path: /}}", "attach-kind", &["`odd` is a program of the type unknown"]);
}

#[test]
fn cgroups() {
    let cgroups = |paths: &[&str], direction| {
        Attach::Cgroup(Cgroups {
            paths: paths.iter().map(|path| CgroupPattern::new(path)).collect(),
            direction,
        })
    };
    good("connect", "{cgroup: {path: /a/*}}", cgroups(&["/a/*"], None));
    good("connect", "{cgroup: {path: [/, 5]}}", cgroups(&["/", "5"], None));
    good("skb", "{cgroup: {path: /, direction: egress}}", cgroups(&["/"], Some(Direction::Egress)));
    good("skb_in", "{cgroup: {path: /}}", cgroups(&["/"], Some(Direction::Ingress)));
    bad("connect", "{cgroup: {}}", "attach-option", &["lacks `path`"]);
    bad("connect", "{cgroup: {path: []}}", "attach-option", &["lacks `path`"]);
    bad("connect", "{cgroup: {path: ''}}", "attach-option", &["an empty text"]);
    bad("connect", "{cgroup: {path: {a: b}}}", "wrong-type", &["path"]);
    bad("connect", "{cgroup: {path: /, direction: ingress}}", "attach-option", &["`direction`", "none"]);
    bad("skb", "{cgroup: {path: /}}", "attach-option", &["lacks `direction`"]);
    bad("skb", "{cgroup: {path: /, direction: egres}}", "attach-option", &["did you mean `egress`?"]);
    bad("skb_in", "{cgroup: {path: /, direction: egress}}", "attach-option", &["the other direction"]);
}
