//! Helpers: specs from configs, one object after another, and what the kernel says of them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bpftally::bpf::{self, Attaching, Loaded};
use bpftally::config::{ConfigFile, Insecure, check_text};
use bpftally::problem::Problem;
use bpftally::snapshot::Verdict;
use bpftally::spec::LoadSpec;
use libbpf_rs::query::{MapInfoIter, ProgInfoIter, ProgInfoQueryOptions};

use super::retire::links;
use crate::common::kernel::{host, rows, try_load};
use crate::common::objects::Object;

/// Which maps go on in the next object, and which begin anew.
mod carry;

/// Programs of control groups, which the config places.
mod cgroups;

/// Each kind of hook under load: nothing is missed, and little counts twice.
mod hooks;

/// After hundreds of objects nothing is left of them.
mod leaks;

/// The one program of a network interface.
mod packets;

/// Programs that come, go, change their names, and fail.
mod programs;

/// Probes of user space, whose arguments libbpf describes in maps of its own.
mod usdt;

/// Counts under a key what the thread `target` does.
const COUNTS: &str = r#"
#include "maps.bpf.h"
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } counts SEC(".maps");
static __always_inline int add(u32 key)
{
    increment_map(&counts, &key, 1);
    return 0;
}
const volatile u32 target = 0;
static __always_inline int count(u32 key)
{
    return (u32)bpf_get_current_pid_tgid() == target ? add(key) : 0;
}
#define GETPPID(NAME, SECTION, KEY) SEC(SECTION) int NAME(struct bpf_raw_tracepoint_args *ctx) \
    { return ctx->args[1] == NUMBER ? count(KEY) : 0; }
"#;

/// The system call's number.
const GETPPID: u32 = if cfg!(target_arch = "x86_64") { 110 } else { 173 };

/// The load spec that a config gives for an object compiled from C.
#[track_caller]
fn spec(source: &str, config: &str) -> LoadSpec {
    let object = Object::of(source);
    let options = bpftally::config::Options {
        namespace: String::new(),
        object_dir: None,
        host: Arc::new(host()),
        insecure: Insecure::Allowed,
        max_series: None,
    };
    let text = format!("{config}\nmetrics: {{counters: []}}\n");
    let checked = check_text(&ConfigFile::new("/configs/test.yaml"), &text, &object.file(), &options);
    checked.spec.unwrap_or_else(|| panic!("{:#?}", checked.problems)).load
}

/// The same for programs that use [`COUNTS`], and count this thread.
#[track_caller]
fn counting(source: &str, config: &str) -> LoadSpec {
    let thread = rustix::thread::gettid().as_raw_nonzero();
    let source = format!("#define NUMBER {GETPPID}\n{COUNTS}\n{source}");
    spec(&source, &format!("globals: {{target: {thread}}}\n{config}"))
}

/// The first object.
#[track_caller]
fn begin(spec: &LoadSpec) -> Loaded {
    let loaded = try_load(spec).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(loaded.problems(), [], "every program attaches");
    loaded
}

/// Lets a new object take over, and frees the old one.
fn try_hand_over(running: &mut Loaded, spec: &LoadSpec, attaching: Attaching) -> Result<(), Vec<Problem>> {
    let (host, options) = (host(), bpf::Options::default());
    let prepared = bpf::prepare(spec, &host, &options, Some(running))?;
    let mut next = prepared.commit(&host, &options, attaching, Some(running))?;
    std::mem::swap(running, &mut next);
    next.retire();
    Ok(())
}

/// The same where nothing may go wrong: of the old object nothing stays.
#[track_caller]
fn hand_over(running: &mut Loaded, spec: &LoadSpec) {
    let old = programs(running);
    let outcome = try_hand_over(running, spec, Attaching::AsFarAsPossible);
    outcome.unwrap_or_else(|problems| panic!("{problems:#?}"));
    programs_are_gone(&old);
}

/// A new object that must not take over: then all is as it was.
#[track_caller]
fn refused(running: &mut Loaded, spec: &LoadSpec, attaching: Attaching) -> Vec<Problem> {
    let (count, before) = (running.link_count(), programs(running));
    let problems = try_hand_over(running, spec, attaching).expect_err("it is refused");
    assert!(!problems.is_empty(), "nobody says why");
    assert_eq!(running.link_count(), count);
    assert_eq!(programs(running), before);
    links(&[running], count);
    problems
}

/// The kernel's ids of its programs.
fn programs(loaded: &Loaded) -> Vec<u32> {
    loaded.view().programs.programs().into_iter().map(|program| program.id).collect()
}

/// The programs that are at work.
fn at_work(loaded: &Loaded) -> Vec<&str> {
    let verdicts = loaded.verdicts().iter().filter(|found| found.verdict == Verdict::Attached);
    verdicts.map(|found| found.program.as_str()).collect()
}

/// Asks until the kernel's answer is the wanted one: it frees in its own time, and a list that others
/// change meanwhile may end early.
#[track_caller]
fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1000 {
        if let Some(answer) = ask() {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{what}");
}

/// The kernel must have none of these programs.
#[track_caller]
fn programs_are_gone(ids: &[u32]) {
    let ids: HashSet<u32> = ids.iter().copied().collect();
    wait_for(&format!("programs {ids:?} are still there"), || {
        (!ProgInfoIter::default().any(|program| ids.contains(&program.id))).then_some(())
    });
}

/// The maps that its programs use: the kernel's ids, by name.
#[track_caller]
fn maps(loaded: &Loaded) -> BTreeMap<String, u32> {
    let programs = programs(loaded);
    wait_for("its programs and maps are listed", || {
        let options = ProgInfoQueryOptions::default().include_map_ids(true);
        let found: Vec<_> = ProgInfoIter::with_query_opts(options)
            .filter(|program| programs.contains(&program.id))
            .map(|program| program.map_ids)
            .collect();
        let used: HashSet<u32> = found.iter().flatten().copied().collect();
        let maps: BTreeMap<String, u32> = MapInfoIter::default()
            .filter(|map| used.contains(&map.id))
            .map(|map| (map.name.to_string_lossy().into_owned(), map.id))
            .collect();
        (found.len() == programs.len() && maps.len() == used.len()).then_some(maps)
    })
}

/// What stands in a map of numbers, by key.
fn numbers(loaded: &Loaded, map: &str) -> BTreeMap<u32, u64> {
    let entry = |(key, value): &(Vec<u8>, Vec<u8>)| {
        let words = value.chunks_exact(8).map(|lane| u64::from_ne_bytes(lane.try_into().unwrap()));
        (u32::from_ne_bytes(key.as_slice().try_into().unwrap()), words.sum())
    };
    let view = loaded.view();
    rows(view.source(map).unwrap().as_ref()).iter().map(entry).collect()
}

/// Makes so many calls of getppid(), and gives what was counted by then.
fn counted(loaded: &Loaded, calls: u64) -> Vec<(u32, u64)> {
    for _ in 0..calls {
        std::hint::black_box(rustix::process::getppid());
    }
    numbers(loaded, "counts").into_iter().collect()
}
