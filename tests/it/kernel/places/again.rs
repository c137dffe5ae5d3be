use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bpftally::host::Pattern;
use bpftally::spec::{Attach, Direction, TcMode, XdpMode};
use libbpf_rs::query::{LinkInfoIter, MapInfoIter, ProgInfoIter};

use super::cgroups::{self, Cgroup};
use super::{events, interfaces, network, placed, probes};
use crate::common::kernel::{run, with_network, with_tracefs};
use crate::kernel::operations;

/// A program for each kind of place that this kernel attaches. Names of programs and maps tell that they are ours.
const SOURCE: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } again_map SEC(".maps");
static __always_inline int counted(int result)
{
    u32 zero = 0;
    u64 *slot = bpf_map_lookup_elem(&again_map, &zero);
    if (slot)
        __sync_fetch_and_add(slot, 1);
    return result;
}
SEC("xdp") int again_xdp(struct xdp_md *c) { return counted(2); }
SEC("tc") int again_tcx(struct __sk_buff *c) { return counted(-1); }
SEC("tc") int again_tc(struct __sk_buff *c) { return counted(-1); }
SEC("cgroup_skb/ingress") int again_skb(struct __sk_buff *c) { return counted(1); }
SEC("cgroup/connect4") int again_connect(struct bpf_sock_addr *c) { return counted(1); }
SEC("sockops") int again_sockops(struct bpf_sock_ops *c) { return counted(1); }
SEC("perf_event") int again_event(void *c) { return counted(0); }
SEC("uprobe") int again_uprobe(void *c) { return counted(0); }
SEC("uretprobe") int again_return(void *c) { return counted(0); }
SEC("uprobe.multi") int again_multi(void *c) { return counted(0); }
SEC("sk_lookup") int again_lookup(struct bpf_sk_lookup *c) { return counted(1); }
SEC("netfilter") int again_filter(struct bpf_nf_ctx *c) { return counted(1); }
SEC("socket") int again_socket(struct __sk_buff *c) { return counted(0); }
SEC("tracepoint") int again_trace(void *c) { return counted(0); }
SEC("raw_tp") int again_raw(void *c) { return counted(0); }
SEC("tp_btf") int again_typed(u64 *c) { return counted(0); }
SEC("iter/bpf_map") int again_iter(void *c) { return 0; }
struct { __uint(type, BPF_MAP_TYPE_SOCKMAP); __uint(max_entries, 4); __type(key, u32); __type(value, u32); } again_sockets SEC(".maps");
SEC("sk_msg") int again_message(struct sk_msg_md *c) { return counted(1); }
SEC("sk_skb/stream_verdict") int again_stream(struct __sk_buff *c) { return counted(1); }
"#;

/// Everything: the operations are called `again`, and so are their programs.
fn source() -> String {
    operations::source("again", ".struct_ops.link", SOURCE)
}

fn places(cgroup: &Cgroup, binary: &str) -> Vec<(&'static str, Attach)> {
    let interfaces = &["again*", "lo"];
    let tracepoint = |name: &str| Attach::Tracepoint(name.to_owned());
    let function = |function| probes::uprobe(binary, function);
    vec![
        ("again_xdp", interfaces::xdp(interfaces, XdpMode::Generic)),
        ("again_tcx", interfaces::tc(interfaces, Direction::Ingress, TcMode::Tcx)),
        ("again_tc", interfaces::tc(interfaces, Direction::Egress, TcMode::Classic)),
        ("again_skb", cgroups::at(&["/"])),
        ("again_connect", cgroups::at(&[&cgroup.below("/**")])),
        ("again_event", events::context_switches()),
        ("again_uprobe", function("post_attach_mark")),
        ("again_return", function("post_attach_mark")),
        ("again_multi", function("post_attach_m*")),
        ("again_filter", network::hook(1, 7)),
        ("again_socket", Attach::Socket(vec![Pattern::new("again*")])),
        ("again_message", Attach::Sockmap("again_sockets".to_owned())),
        ("again_stream", Attach::Sockmap("again_sockets".to_owned())),
        ("again_trace", tracepoint("sched/sched_process_exec")),
        ("again_raw", tracepoint("sched_process_exit")),
        ("again_typed", tracepoint("sched_process_fork")),
    ]
}

/// What of ours is in the kernel: programs, maps, and links of these programs.
fn in_kernel() -> [usize; 3] {
    let is_ours = |name: &std::ffi::OsString| name.to_string_lossy().starts_with("again_");
    let programs: BTreeSet<u32> =
        ProgInfoIter::default().filter(|found| is_ours(&found.name)).map(|found| found.id).collect();
    let maps = MapInfoIter::default().filter(|found| is_ours(&found.name)).count();
    let links = LinkInfoIter::default().filter(|found| programs.contains(&found.prog_id)).count();
    [programs.len(), maps, links]
}

/// What of ours is pinned: paths below the BPF file system, where it is mounted.
fn pins() -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![std::path::PathBuf::from("/sys/fs/bpf")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
            found.push(entry.path().display().to_string());
        }
    }
    found.retain(|path| path.contains("again"));
    found
}

/// Every kind is attached, handed over to a successor, and detached, again and again: nothing is left.
#[test]
fn nothing_is_left_of_any_kind() {
    let times = std::env::var("BPFTALLY_ATTACH_TIMES").map_or(25, |times| times.parse().unwrap());
    with_tracefs(|| {
        with_network(|| {
            let cgroup = Cgroup::new("again");
            for name in ["a", "b"] {
                cgroup.create(name);
                run("ip", &["link", "add", &format!("again-{name}"), "type", "veth"]);
            }
            let binary = std::env::current_exe().unwrap().display().to_string();
            let spec = placed("again", &source(), &places(&cgroup, &binary));
            let mut links = BTreeSet::new();
            for _ in 0..times {
                let mut old = operations::load_once_free(&spec);
                let new = operations::hand_over(&spec, &mut old);
                old.retire();
                links.insert(new.link_count());
                assert!(new.verdicts().iter().all(|verdict| verdict.places > 0), "{:#?}", new.verdicts());
                new.retire();
            }
            assert_eq!(links.len(), 1, "as many each time: {links:?}");
            // The kernel frees what it has waited for.
            let deadline = Instant::now() + Duration::from_secs(60);
            while in_kernel() != [0; 3] && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(50));
            }
            assert_eq!(in_kernel(), [0; 3], "programs, maps, links");
            assert_eq!(pins(), [""; 0]);
            assert!(!run("tc", &["qdisc", "show"]).contains("clsact"));
            assert!(!run("ip", &["link", "show"]).contains("xdp"));
        });
    });
}
