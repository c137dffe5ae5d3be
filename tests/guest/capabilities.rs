//! Which capabilities each hook takes of a process that is not root, found by leaving them out.

use std::collections::BTreeMap;

use caps::{CapSet, Capability, CapsHashSet};
use rustix::process::{Gid, Uid};
use rustix::thread;

use crate::common::exporter::{Exporter, values_of};
use crate::common::kernel::kernel_since;
use crate::hooks::{self, Hook};
use crate::matrix;

/// What a hook could do with, the smaller sets first.
const SETS: [&[Capability]; 9] = {
    use Capability::{CAP_BPF, CAP_DAC_READ_SEARCH, CAP_NET_ADMIN, CAP_NET_RAW, CAP_PERFMON, CAP_SYS_ADMIN};
    [
        &[CAP_BPF],
        &[CAP_BPF, CAP_PERFMON],
        &[CAP_BPF, CAP_NET_ADMIN],
        &[CAP_BPF, CAP_NET_RAW],
        &[CAP_BPF, CAP_PERFMON, CAP_DAC_READ_SEARCH],
        &[CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN],
        &[CAP_SYS_ADMIN],
        &[CAP_SYS_ADMIN, CAP_DAC_READ_SEARCH],
        &[CAP_SYS_ADMIN, CAP_NET_ADMIN],
    ]
};

/// Nobody, who owns nothing.
const NOBODY: u32 = 65534;

/// A process that starts from this thread is nobody's, and has these capabilities alone.
fn become_nobody(kept: &[Capability]) {
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    thread::set_thread_groups(&[]).unwrap();
    thread::set_thread_res_gid(group, group, group).unwrap();
    thread::set_keep_capabilities(true).unwrap();
    thread::set_thread_res_uid(user, user, user).unwrap();
    let kept: CapsHashSet = kept.iter().copied().collect();
    for set in [CapSet::Effective, CapSet::Permitted] {
        caps::set(None, set, &kept).unwrap();
    }
    for set in [CapSet::Inheritable, CapSet::Ambient] {
        caps::set(None, set, &kept).unwrap();
    }
}

/// What most hooks take: those that only look, and those of packets and control groups. Asking these for theirs first
/// leaves few for all sets.
const LIKELY: [&[Capability]; 2] =
    [&[Capability::CAP_BPF, Capability::CAP_PERFMON], &[Capability::CAP_BPF, Capability::CAP_NET_ADMIN]];

fn likely(hook: &Hook) -> &'static [Capability] {
    LIKELY[usize::from(matches!(hook.object, "hooks-packets" | "hooks-groups" | "sockets"))]
}

/// Those of the hooks that are attached, and whose counts can be read.
fn at_work<'a>(hooks: &[&'a Hook], kept: &[Capability]) -> Vec<&'a Hook> {
    let (first, second): (Vec<_>, Vec<_>) = hooks.iter().copied().partition(|hook| !hook.is_second);
    let mut found = Vec::new();
    for batch in [first, second].into_iter().filter(|batch| !batch.is_empty()) {
        let exporter = std::thread::scope(|scope| {
            let nobody = scope.spawn(|| {
                become_nobody(kept);
                let flags = hooks::flags(&batch);
                Exporter::launch(&flags.iter().map(String::as_str).collect::<Vec<_>>())
            });
            nobody.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        let page = exporter.page();
        let read: Vec<String> = values_of(&page, "ebpf_exporter_config_scrape_success")
            .into_iter()
            .filter(|(_, value)| *value == 1.0)
            .map(|(labels, _)| labels["config"].clone())
            .collect();
        let is_attached = hooks::attached(&page);
        found.extend(batch.into_iter().filter(|hook| is_attached(hook) && read.contains(&hook.program)));
    }
    found
}

/// Which hooks were not at work with a set.
#[derive(Default)]
struct Refused(Vec<(CapsHashSet, &'static str)>);

impl Refused {
    /// Those of the hooks that are at work with a set. What was refused before is not asked for again.
    fn at_work<'a>(&mut self, hooks: &[&'a Hook], set: &[Capability]) -> Vec<&'a Hook> {
        let key: CapsHashSet = set.iter().copied().collect();
        let is_known = |hook: &&Hook| self.0.contains(&(key.clone(), hook.kind));
        let unknown: Vec<&Hook> = hooks.iter().copied().filter(|hook| !is_known(hook)).collect();
        let found = at_work(&unknown, set);
        let is_refused = |hook: &&&Hook| !found.iter().any(|other| other.kind == hook.kind);
        self.0.extend(unknown.iter().filter(is_refused).map(|hook| (key.clone(), hook.kind)));
        found
    }

    /// Those of the hooks that a set is just enough for: they are at work with it, and not without any one of it.
    fn just_enough<'a>(&mut self, hooks: &[&'a Hook], set: &[Capability]) -> Vec<&'a Hook> {
        let mut enough = self.at_work(hooks, set);
        for left_out in set {
            let rest: Vec<Capability> = set.iter().copied().filter(|one| one != left_out).collect();
            let take_less = self.at_work(&enough, &rest);
            enough.retain(|hook| !take_less.iter().any(|other| other.kind == hook.kind));
        }
        enough
    }
}

/// How much of performance events the kernel keeps to whoever may do everything.
const PARANOID: &str = "/proc/sys/kernel/perf_event_paranoid";

#[test]
fn each_hook_takes_these_and_no_others() {
    hooks::prepare();
    // Debian guards more than others do; here it is as everywhere else.
    assert_eq!(std::fs::read_to_string(PARANOID).unwrap().trim(), "3");
    let mut left: Vec<&Hook> = hooks::all().iter().filter(|hook| hooks::expected(hook) == "true").collect();
    let mut cells = BTreeMap::new();
    let mut refused = Refused::default();
    // Before Linux 5.11 maps are locked memory, and these are more than everybody may lock.
    let memory = (!kernel_since(5, 11)).then_some(Capability::CAP_SYS_RESOURCE);
    let likely_ones = LIKELY.map(|set| (set, true)).into_iter();
    for (set, is_likely) in likely_ones.chain(SETS.map(|set| (set, false))) {
        let asked: Vec<&Hook> =
            left.iter().copied().filter(|hook| !is_likely || likely(hook) == set).collect();
        let set: Vec<Capability> = set.iter().copied().chain(memory).collect();
        std::fs::write(PARANOID, "2").unwrap();
        let enough = refused.just_enough(&asked, &set);
        std::fs::write(PARANOID, "3").unwrap();
        let unguarded = at_work(&enough, &set);
        let names: Vec<String> =
            set.iter().map(|one| one.to_string().trim_start_matches("CAP_").to_owned()).collect();
        for hook in &enough {
            let is_unguarded = unguarded.iter().any(|other| other.kind == hook.kind);
            cells.insert(hook.kind, names.join(", ") + if is_unguarded { "" } else { " *" });
        }
        left.retain(|hook| !cells.contains_key(hook.kind));
    }
    for hook in hooks::all() {
        if let Some(cell) = cells.get(hook.kind) {
            matrix::record("capabilities", hook.kind, cell);
        }
    }
    let left: Vec<&str> = left.iter().map(|hook| hook.kind).collect();
    assert!(left.is_empty(), "{left:?} take something else; {cells:?}");
}
