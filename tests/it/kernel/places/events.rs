use std::time::Duration;

use bpftally::spec::{Attach, PerfEvent, Sample};

use super::load_placed;
use crate::common::kernel::{host, rows};

/// Counts events by the thread that runs.
const SWITCHES: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 65536); __type(key, u32); __type(value, u64); } switches SEC(".maps");
SEC("perf_event") int switched(void *context)
{
    u32 thread = bpf_get_current_pid_tgid();
    u64 one = 1, *slot = bpf_map_lookup_elem(&switches, &thread);
    if (slot)
        __sync_fetch_and_add(slot, 1);
    else
        bpf_map_update_elem(&switches, &thread, &one, BPF_NOEXIST);
    return 0;
}
"#;

/// `PERF_TYPE_SOFTWARE` and `PERF_COUNT_SW_CONTEXT_SWITCHES`, once for each.
pub fn context_switches() -> Attach {
    Attach::PerfEvent(PerfEvent { kind: 1, config: 3, sample: Sample::Period(1) })
}

/// How often the kernel says that this thread gave its CPU away.
fn own_switches() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let counts = status.lines().filter(|line| line.contains("ctxt_switches"));
    counts.map(|line| line.rsplit('\t').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// The kernel leaves events out that come faster than its sysctl allows, which these do not.
#[test]
fn with_a_period_of_one_every_event_counts() {
    let loaded = load_placed(SWITCHES, &[("switched", context_switches())]);
    let online = host().online_cpus().unwrap().len();
    assert_eq!((loaded.link_count(), loaded.verdicts()[0].places), (online, online));
    let before = own_switches();
    (0..200).for_each(|_| std::thread::sleep(Duration::from_millis(1)));
    let truth = own_switches() - before;
    let thread = rustix::thread::gettid().as_raw_nonzero().get().to_ne_bytes();
    let view = loaded.view();
    let found = rows(view.source("switches").unwrap().as_ref()).into_iter().find(|(key, _)| *key == thread);
    let counted = found.map_or(0, |(_, value)| u64::from_ne_bytes(value.as_slice().try_into().unwrap()));
    assert!(truth >= 200 && counted >= truth / 10 * 9, "{counted} of {truth}");
}

#[test]
fn cpus_are_followed() {
    let mut loaded = load_placed(SWITCHES, &[("switched", context_switches())]);
    assert!(loaded.follows() && !loaded.follow(&host()), "none has come or gone");
}
