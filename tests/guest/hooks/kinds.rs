use std::sync::LazyLock;

use bpftally::elf::SectionKind;

use crate::common::kernel::kernel_since;

use super::GROUP;

/// A kind of section, and what its program counts.
pub struct Hook {
    /// What the section begins with.
    pub kind: &'static str,
    /// The program, and the config with it.
    pub program: String,
    /// The object's name.
    pub object: &'static str,
    /// The kind of place and what it takes, where the section does not say it.
    pub place: Option<String>,
    /// Programs that it does not work without, with their places.
    pub helpers: Vec<(String, String)>,
    /// What there is to count.
    pub seen: Seen,
    /// Whether another hook has its place, or what it counts would be counted by others.
    pub is_second: bool,
}

/// How much of what happens a hook sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Each of them so many times, and so many more.
    Times(u64, u64),
    /// Something: how much there is differs.
    Some,
}

impl Seen {
    /// Whether that is the count of so many.
    pub fn allows(self, count: u64, times: u64) -> bool {
        self.of(times).map_or(count > 0, |expected| count == expected)
    }

    /// The count of so many, where it is known.
    pub fn of(self, times: u64) -> Option<u64> {
        match self {
            Self::Times(factor, more) => Some(factor * times + more),
            Self::Some => None,
        }
    }
}

const ONCE: Seen = Seen::Times(1, 0);
const TWICE: Seen = Seen::Times(2, 0);
/// Those that are bound beside: a datagram's receiver, and for IPv4 one who listens.
const AND_RECEIVER: Seen = Seen::Times(0, 1);
const AND_LISTENER: Seen = Seen::Times(0, 2);

const OF_PACKETS: &[&str] = &["xdp", "tc", "netkit", "socket", "sk_lookup", "flow_dissector"];

impl Hook {
    fn new(kind: &'static str, place: Option<String>, seen: Seen) -> Self {
        let object = match kind {
            "netfilter" => "netfilter",
            "usdt" | "usdt.s" => "usdt",
            "struct_ops" => "operations",
            ".struct_ops.link" => "operations-link",
            "struct_ops.s" => "operations-sleepable",
            "sk_msg" => "sockets",
            _ if kind.starts_with("sk_skb/") => "sockets",
            _ if kind.starts_with("cgroup") || kind == "sockops" => "hooks-groups",
            _ if kind.starts_with("uprobe") || kind.starts_with("uretprobe") => "hooks-user",
            _ if OF_PACKETS.iter().any(|start| kind.starts_with(start)) => "hooks-packets",
            _ => "hooks-kernel",
        };
        let name = kind.trim_start_matches('.').replace(['.', '/'], "_");
        let mut helpers = Vec::new();
        if object == "sockets" {
            helpers.push((format!("sockets_for_{name}"), format!("cgroup: {{path: {GROUP}}}")));
        }
        if kind == "sk_skb/stream_parser" {
            helpers.push(("passes".to_owned(), OF_SOCKETS.to_owned()));
        }
        let is_second = kind == "xdp.frags" || object == "sockets" || object.starts_with("operations");
        Self { kind, program: format!("on_{name}"), object, place, helpers, seen, is_second }
    }

    /// Whether it is looked up in the kernel's types.
    pub fn is_by_btf(&self) -> bool {
        let is_by_btf = SectionKind::of(self.kind).is_some_and(|kind| kind.is_by_btf());
        is_by_btf || self.kind == "netfilter" || self.object.starts_with("operations")
    }

    /// What Debian builds this kernel without, where that is why the hook does not work.
    pub fn left_out(&self) -> Option<&'static str> {
        match self.kind {
            "kprobe.multi" | "kretprobe.multi" if !kernel_since(6, 12) => Some("CONFIG_FPROBE"),
            // Later kernels let these sleep in every system call.
            "fentry.s" | "fexit.s" | "fmod_ret.s" if !kernel_since(7, 0) => {
                Some("CONFIG_FUNCTION_ERROR_INJECTION")
            }
            _ => None,
        }
    }
}

/// All of them, in the order of the table.
pub fn all() -> &'static [Hook] {
    static HOOKS: LazyLock<Vec<Hook>> = LazyLock::new(|| {
        let by_section = BY_SECTION.iter().map(|(kind, seen)| Hook::new(kind, None, *seen));
        let placed =
            PLACED.iter().map(|(kind, place, seen)| Hook::new(kind, Some((*place).to_owned()), *seen));
        let at_group = |(kind, seen): &(&'static str, Seen)| {
            let direction = if *kind == "cgroup/skb" { ", direction: egress" } else { "" };
            Hook::new(kind, Some(format!("cgroup: {{path: {GROUP}{direction}}}")), *seen)
        };
        let at_sockets = |kind: &&'static str| Hook::new(kind, Some(OF_SOCKETS.to_owned()), ONCE);
        let at_group = AT_GROUP.iter().map(at_group);
        by_section.chain(placed).chain(at_group).chain(AT_SOCKETS.iter().map(at_sockets)).collect()
    });
    &HOOKS
}

const BY_SECTION: &[(&str, Seen)] = &[
    ("kprobe", ONCE),
    ("kretprobe", ONCE),
    ("ksyscall", ONCE),
    ("kretsyscall", ONCE),
    ("kprobe.multi", ONCE),
    ("kretprobe.multi", ONCE),
    ("kprobe.session", TWICE),
    ("fentry", ONCE),
    ("fexit", ONCE),
    ("fsession", TWICE),
    ("fmod_ret", ONCE),
    ("fentry.s", ONCE),
    ("fexit.s", ONCE),
    ("fsession.s", TWICE),
    ("fmod_ret.s", ONCE),
    ("lsm", ONCE),
    // The start of who does all this.
    ("lsm.s", Seen::Times(0, 1)),
    ("tracepoint", ONCE),
    ("raw_tp", ONCE),
    ("raw_tp.w", ONCE),
    ("tp_btf", ONCE),
    ("iter", Seen::Some),
    ("iter.s", Seen::Some),
    ("uprobe", ONCE),
    ("uretprobe", ONCE),
    ("uprobe.s", ONCE),
    ("uretprobe.s", ONCE),
    ("uprobe.multi", ONCE),
    ("uretprobe.multi", ONCE),
    ("uprobe.multi.s", ONCE),
    ("uretprobe.multi.s", ONCE),
    ("uprobe.session", TWICE),
    ("uprobe.session.s", TWICE),
    ("usdt", ONCE),
    ("usdt.s", ONCE),
    ("sk_lookup", ONCE),
    ("flow_dissector", ONCE),
    // A congestion control that is chosen.
    ("struct_ops", ONCE),
    (".struct_ops.link", ONCE),
    ("struct_ops.s", ONCE),
];

const OF_SOCKETS: &str = "sockmap: {map: sockets}";

/// Messages that one socket sends, or receives.
const AT_SOCKETS: &[&str] = &["sk_msg", "sk_skb/stream_parser", "sk_skb/stream_verdict", "sk_skb/verdict"];

const PLACED: &[(&str, &str, Seen)] = &[
    ("perf_event", "perf_event: {event: page-faults, period: 1}", ONCE),
    ("xdp", "xdp: {interface: lo, mode: generic}", ONCE),
    ("xdp.frags", "xdp: {interface: lo, mode: generic}", ONCE),
    ("tc", "tc: {interface: lo, direction: ingress, mode: classic}", ONCE),
    ("tcx/ingress", "tc: {interface: lo, mode: tcx}", ONCE),
    ("tcx/egress", "tc: {interface: lo, mode: tcx}", ONCE),
    ("tc/ingress", "tc: {interface: lo}", ONCE),
    ("tc/egress", "tc: {interface: lo}", ONCE),
    ("netkit/primary", "netkit: {interface: nk0}", ONCE),
    ("netkit/peer", "netkit: {interface: nk0}", ONCE),
    // Both as what goes out and as what comes in.
    ("socket", "socket: {interface: lo}", TWICE),
    ("netfilter", "netfilter: {family: ipv4, hook: input}", ONCE),
];

const AT_GROUP: &[(&str, Seen)] = &[
    ("lsm_cgroup", ONCE),
    ("cgroup_skb/ingress", ONCE),
    ("cgroup_skb/egress", ONCE),
    ("cgroup/skb", ONCE),
    ("cgroup/sock", ONCE),
    ("cgroup/sock_create", ONCE),
    ("cgroup/sock_release", ONCE),
    ("cgroup/post_bind4", AND_LISTENER),
    ("cgroup/post_bind6", AND_RECEIVER),
    ("cgroup/bind4", AND_LISTENER),
    ("cgroup/bind6", AND_RECEIVER),
    // By TCP, and sockets of datagrams that name whom they send to.
    ("cgroup/connect4", TWICE),
    ("cgroup/connect6", ONCE),
    ("cgroup/connect_unix", ONCE),
    ("cgroup/sendmsg4", ONCE),
    ("cgroup/sendmsg6", ONCE),
    ("cgroup/sendmsg_unix", ONCE),
    ("cgroup/recvmsg4", ONCE),
    ("cgroup/recvmsg6", ONCE),
    ("cgroup/recvmsg_unix", ONCE),
    ("cgroup/getpeername4", ONCE),
    ("cgroup/getpeername6", ONCE),
    ("cgroup/getpeername_unix", ONCE),
    ("cgroup/getsockname4", ONCE),
    ("cgroup/getsockname6", ONCE),
    ("cgroup/getsockname_unix", ONCE),
    ("cgroup/sysctl", ONCE),
    ("cgroup/getsockopt", ONCE),
    ("cgroup/setsockopt", ONCE),
    ("cgroup/dev", ONCE),
    ("sockops", ONCE),
];
