use std::collections::{BTreeMap, HashSet};
use std::process::Command;
use std::time::Duration;

use bpftally::bpf::{self, Attaching, Loaded};
use bpftally::spec::LoadSpec;
use libbpf_rs::query::{LinkInfoIter, MapInfoIter, ProgInfoIter};

use super::{begin, counting, maps, programs, try_hand_over, wait_for};
use crate::common::kernel::{host, with_tracefs};
use crate::kernel::retire::links;

const ALONE: &str = "BPFTALLY_TEST_HANDOVERS";
const HANDOVERS: usize = 200;

/// What this process has open, by kind, and its threads by name.
fn held() -> BTreeMap<String, usize> {
    let mut held = BTreeMap::new();
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        // The descriptor of the list itself is gone by now.
        if let Ok(target) = std::fs::read_link(entry.unwrap().path()) {
            let kind = target.to_string_lossy().split(':').next().unwrap_or_default().to_owned();
            let name = if kind == "anon_inode" { target.to_string_lossy().into_owned() } else { kind };
            *held.entry(name).or_default() += 1;
        }
    }
    for entry in std::fs::read_dir("/proc/self/task").unwrap() {
        if let Ok(name) = std::fs::read_to_string(entry.unwrap().path().join("comm")) {
            *held.entry(format!("thread {}", name.trim())).or_default() += 1;
        }
    }
    held
}

/// A thread that was waited for is listed until the kernel has put it away.
#[track_caller]
fn check_held(expected: &BTreeMap<String, usize>, when: &str) {
    for _ in 0..250 {
        if held() == *expected {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(held(), *expected, "{when}");
}

/// The kernel's ids of what was ever there.
#[derive(Default)]
struct Seen {
    programs: HashSet<u32>,
    maps: HashSet<u32>,
    links: HashSet<u32>,
}

impl Seen {
    fn add(&mut self, loaded: &Loaded) {
        self.programs.extend(programs(loaded));
        self.maps.extend(maps(loaded).into_values());
        self.links.extend(links(&[loaded], loaded.link_count()));
    }

    fn left(&self) -> usize {
        ProgInfoIter::default().filter(|found| self.programs.contains(&found.id)).count()
            + MapInfoIter::default().filter(|found| self.maps.contains(&found.id)).count()
            + LinkInfoIter::default().filter(|found| self.links.contains(&found.id)).count()
    }
}

const PROGRAMS: &str = r#"
SEC("tracepoint/syscalls/sys_enter_getppid") int plain(void *ctx) { return count(1); }
GETPPID(raw, "raw_tp/sys_enter", 2)
SEC("tp_btf/sys_enter") int typed(u64 *ctx) { return ctx[1] == NUMBER ? count(3) : 0; }
SEC("perf_event/type=1,config=0,frequency=9") int clock(void *ctx) { return 0; }
"#;

/// Objects that take over, and objects that fail at each stage.
fn specs() -> Vec<(LoadSpec, bool)> {
    let uprobe = r#"SEC("uprobe//proc/self/exe:post_attach_mark") int entry(void *ctx) { return count(4); }"#;
    let iterator = r#"SEC("iter/bpf_map") int iterator(void *ctx) { return 0; }"#;
    let rejected = r#"SEC("raw_tp/sys_enter") int wrong(void *ctx) { return *(volatile int *)1; }"#;
    let nowhere = r#"SEC("xdp/no-such-if") int wrong(struct xdp_md *ctx) { return XDP_PASS; }"#;
    let alternatives = r#"GETPPID(next, "?raw_tp/sys_enter", 5)"#;
    vec![
        (counting(&format!("{PROGRAMS} {iterator}"), ""), true),
        (counting(&format!("{PROGRAMS} {rejected}"), ""), false),
        (counting(&format!("{PROGRAMS} {iterator} {uprobe}"), ""), true),
        (counting(&format!("{PROGRAMS} {iterator} {nowhere}"), ""), false),
        (counting(PROGRAMS, "maps: {counts: {max_entries: 99}}"), true),
        (counting(&format!("{PROGRAMS} {nowhere} {alternatives}"), "choose: [[wrong, next]]"), true),
        (counting(&format!("{PROGRAMS} {rejected}"), "programs: {wrong: {optional: true}}"), true),
    ]
}

fn run() {
    let specs = specs();
    let mut seen = Seen::default();
    let turn = |running: &mut Loaded, turn: usize, seen: &mut Seen| {
        let (spec, is_good) = &specs[turn % specs.len()];
        let outcome = try_hand_over(running, spec, Attaching::Strictly);
        assert_eq!(outcome.is_ok(), *is_good, "{turn}: {outcome:#?}");
        if turn.is_multiple_of(5) {
            drop(bpf::prepare(spec, &host(), &bpf::Options::default(), Some(running)));
        }
        seen.add(running);
    };
    let before = held();
    let mut running = begin(&specs[0].0);
    // Both ends of the work have the first spec at work.
    let (rounds, first) = (HANDOVERS.div_ceil(specs.len()) * specs.len(), held());
    for number in 1..=rounds {
        turn(&mut running, number, &mut seen);
    }
    check_held(&first, &format!("after {rounds} handovers"));
    running.retire();
    check_held(&before, "after the end");
    wait_for("something of it is still in the kernel", || (seen.left() == 0).then_some(()));
    println!(
        "{rounds} handovers: {} programs, {} maps, {} links",
        seen.programs.len(),
        seen.maps.len(),
        seen.links.len()
    );
}

/// In a process of its own, whose threads and descriptors nobody else changes.
#[test]
fn after_hundreds_of_handovers_nothing_is_left() {
    if std::env::var(ALONE).is_ok() {
        return with_tracefs(run);
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["kernel::handover::leaks::after_hundreds_of_handovers_nothing_is_left", "--exact"])
        .args(["--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    print!("{text}");
    assert!(text.contains("handovers: "), "{text}");
}
