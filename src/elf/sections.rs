//! What a program's section says: its type, where it attaches, since which kernel.
//!
//! The rows are those of libbpf 1.7 (`section_defs` in `libbpf.c`), in its order, because the
//! first that matches counts. Kernels are those that first had the program type or the way
//! to attach, from the history of `include/uapi/linux/bpf.h`; none where it is not known.
//! They are cross-checked as helpers are (`helpers.rs`).

use super::floors::Kernel;

/// Its programs may sleep.
const SLEEPABLE: u8 = 1;
/// libbpf finds its target in the kernel's BTF: without a target it does not load.
const BY_BTF: u8 = 2;
/// libbpf attaches it where the section's name says.
const ATTACHES: u8 = 4;
const NOTHING: u8 = 0;

/// What sections of one prefix are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionKind {
    /// As libbpf writes it: with a `+` when `/` and a target may follow.
    pattern: &'static str,
    /// The program type, as libbpf and bpftool write it.
    pub program_type: &'static str,
    /// The attach type, where the section tells one.
    pub attach_type: Option<&'static str>,
    /// The first kernel that had it.
    pub floor: Option<Kernel>,
    flags: u8,
}

const KINDS: &[SectionKind] = &[
    row("socket", "socket_filter", "", since(3, 19), NOTHING),
    row("sk_reuseport/migrate", "sk_reuseport", "sk_reuseport_select_or_migrate", since(5, 14), NOTHING),
    row("sk_reuseport", "sk_reuseport", "sk_reuseport_select", since(4, 19), NOTHING),
    row("kprobe+", "kprobe", "", since(4, 1), ATTACHES),
    row("uprobe+", "kprobe", "", since(4, 1), ATTACHES),
    row("uprobe.s+", "kprobe", "", since(6, 0), SLEEPABLE | ATTACHES),
    row("kretprobe+", "kprobe", "", since(4, 1), ATTACHES),
    row("uretprobe+", "kprobe", "", since(4, 1), ATTACHES),
    row("uretprobe.s+", "kprobe", "", since(6, 0), SLEEPABLE | ATTACHES),
    row("kprobe.multi+", "kprobe", "trace_kprobe_multi", since(5, 18), ATTACHES),
    row("kretprobe.multi+", "kprobe", "trace_kprobe_multi", since(5, 18), ATTACHES),
    row("kprobe.session+", "kprobe", "trace_kprobe_session", since(6, 10), ATTACHES),
    row("uprobe.multi+", "kprobe", "trace_uprobe_multi", since(6, 6), ATTACHES),
    row("uretprobe.multi+", "kprobe", "trace_uprobe_multi", since(6, 6), ATTACHES),
    row("uprobe.session+", "kprobe", "trace_uprobe_session", since(6, 13), ATTACHES),
    row("uprobe.multi.s+", "kprobe", "trace_uprobe_multi", since(6, 6), SLEEPABLE | ATTACHES),
    row("uretprobe.multi.s+", "kprobe", "trace_uprobe_multi", since(6, 6), SLEEPABLE | ATTACHES),
    row("uprobe.session.s+", "kprobe", "trace_uprobe_session", since(6, 13), SLEEPABLE | ATTACHES),
    row("ksyscall+", "kprobe", "", since(4, 1), ATTACHES),
    row("kretsyscall+", "kprobe", "", since(4, 1), ATTACHES),
    row("usdt+", "kprobe", "", since(4, 1), ATTACHES),
    row("usdt.s+", "kprobe", "", since(6, 0), SLEEPABLE | ATTACHES),
    row("tc/ingress", "sched_cls", "tcx_ingress", since(6, 6), NOTHING),
    row("tc/egress", "sched_cls", "tcx_egress", since(6, 6), NOTHING),
    row("tcx/ingress", "sched_cls", "tcx_ingress", since(6, 6), NOTHING),
    row("tcx/egress", "sched_cls", "tcx_egress", since(6, 6), NOTHING),
    row("tc", "sched_cls", "", since(4, 1), NOTHING),
    row("classifier", "sched_cls", "", since(4, 1), NOTHING),
    row("action", "sched_act", "", since(4, 1), NOTHING),
    row("netkit/primary", "sched_cls", "netkit_primary", since(6, 7), NOTHING),
    row("netkit/peer", "sched_cls", "netkit_peer", since(6, 7), NOTHING),
    row("tracepoint+", "tracepoint", "", since(4, 7), ATTACHES),
    row("tp+", "tracepoint", "", since(4, 7), ATTACHES),
    row("raw_tracepoint+", "raw_tracepoint", "", since(4, 17), ATTACHES),
    row("raw_tp+", "raw_tracepoint", "", since(4, 17), ATTACHES),
    row("raw_tracepoint.w+", "raw_tracepoint_writable", "", since(5, 2), ATTACHES),
    row("raw_tp.w+", "raw_tracepoint_writable", "", since(5, 2), ATTACHES),
    row("tp_btf+", "tracing", "trace_raw_tp", since(5, 5), BY_BTF | ATTACHES),
    row("fentry+", "tracing", "trace_fentry", since(5, 5), BY_BTF | ATTACHES),
    row("fmod_ret+", "tracing", "modify_return", since(5, 7), BY_BTF | ATTACHES),
    row("fexit+", "tracing", "trace_fexit", since(5, 5), BY_BTF | ATTACHES),
    row("fentry.s+", "tracing", "trace_fentry", since(5, 10), SLEEPABLE | BY_BTF | ATTACHES),
    row("fmod_ret.s+", "tracing", "modify_return", since(5, 10), SLEEPABLE | BY_BTF | ATTACHES),
    row("fexit.s+", "tracing", "trace_fexit", since(5, 10), SLEEPABLE | BY_BTF | ATTACHES),
    row("fsession+", "tracing", "trace_fsession", since(7, 0), BY_BTF | ATTACHES),
    row("fsession.s+", "tracing", "trace_fsession", since(7, 0), SLEEPABLE | BY_BTF | ATTACHES),
    row("freplace+", "ext", "", since(5, 6), BY_BTF),
    row("lsm+", "lsm", "lsm_mac", since(5, 7), BY_BTF | ATTACHES),
    row("lsm.s+", "lsm", "lsm_mac", since(5, 10), SLEEPABLE | BY_BTF | ATTACHES),
    row("lsm_cgroup+", "lsm", "lsm_cgroup", since(6, 0), BY_BTF),
    row("iter+", "tracing", "trace_iter", since(5, 8), BY_BTF | ATTACHES),
    row("iter.s+", "tracing", "trace_iter", since(5, 18), SLEEPABLE | BY_BTF | ATTACHES),
    row("syscall", "syscall", "", since(5, 14), SLEEPABLE),
    row("xdp.frags/devmap", "xdp", "xdp_devmap", since(5, 18), NOTHING),
    row("xdp/devmap", "xdp", "xdp_devmap", since(5, 8), NOTHING),
    row("xdp.frags/cpumap", "xdp", "xdp_cpumap", since(5, 18), NOTHING),
    row("xdp/cpumap", "xdp", "xdp_cpumap", since(5, 9), NOTHING),
    row("xdp.frags", "xdp", "xdp", since(5, 18), NOTHING),
    row("xdp", "xdp", "xdp", since(4, 8), NOTHING),
    row("perf_event", "perf_event", "", since(4, 9), NOTHING),
    row("lwt_in", "lwt_in", "", since(4, 10), NOTHING),
    row("lwt_out", "lwt_out", "", since(4, 10), NOTHING),
    row("lwt_xmit", "lwt_xmit", "", since(4, 10), NOTHING),
    row("lwt_seg6local", "lwt_seg6local", "", since(4, 18), NOTHING),
    row("sockops", "sock_ops", "cgroup_sock_ops", since(4, 13), NOTHING),
    row("sk_skb/stream_parser", "sk_skb", "sk_skb_stream_parser", since(4, 14), NOTHING),
    row("sk_skb/stream_verdict", "sk_skb", "sk_skb_stream_verdict", since(4, 14), NOTHING),
    row("sk_skb/verdict", "sk_skb", "sk_skb_verdict", since(5, 13), NOTHING),
    row("sk_skb", "sk_skb", "", since(4, 14), NOTHING),
    row("sk_msg", "sk_msg", "sk_msg_verdict", since(4, 17), NOTHING),
    row("lirc_mode2", "lirc_mode2", "lirc_mode2", since(4, 18), NOTHING),
    row("flow_dissector", "flow_dissector", "flow_dissector", since(4, 20), NOTHING),
    row("cgroup_skb/ingress", "cgroup_skb", "cgroup_inet_ingress", since(4, 10), NOTHING),
    row("cgroup_skb/egress", "cgroup_skb", "cgroup_inet_egress", since(4, 10), NOTHING),
    row("cgroup/skb", "cgroup_skb", "", since(4, 10), NOTHING),
    row("cgroup/sock_create", "cgroup_sock", "cgroup_inet_sock_create", since(4, 10), NOTHING),
    row("cgroup/sock_release", "cgroup_sock", "cgroup_inet_sock_release", since(5, 9), NOTHING),
    row("cgroup/sock", "cgroup_sock", "cgroup_inet_sock_create", since(4, 10), NOTHING),
    row("cgroup/post_bind4", "cgroup_sock", "cgroup_inet4_post_bind", since(4, 17), NOTHING),
    row("cgroup/post_bind6", "cgroup_sock", "cgroup_inet6_post_bind", since(4, 17), NOTHING),
    row("cgroup/bind4", "cgroup_sock_addr", "cgroup_inet4_bind", since(4, 17), NOTHING),
    row("cgroup/bind6", "cgroup_sock_addr", "cgroup_inet6_bind", since(4, 17), NOTHING),
    row("cgroup/connect4", "cgroup_sock_addr", "cgroup_inet4_connect", since(4, 17), NOTHING),
    row("cgroup/connect6", "cgroup_sock_addr", "cgroup_inet6_connect", since(4, 17), NOTHING),
    row("cgroup/connect_unix", "cgroup_sock_addr", "cgroup_unix_connect", since(6, 7), NOTHING),
    row("cgroup/sendmsg4", "cgroup_sock_addr", "cgroup_udp4_sendmsg", since(4, 18), NOTHING),
    row("cgroup/sendmsg6", "cgroup_sock_addr", "cgroup_udp6_sendmsg", since(4, 18), NOTHING),
    row("cgroup/sendmsg_unix", "cgroup_sock_addr", "cgroup_unix_sendmsg", since(6, 7), NOTHING),
    row("cgroup/recvmsg4", "cgroup_sock_addr", "cgroup_udp4_recvmsg", since(5, 2), NOTHING),
    row("cgroup/recvmsg6", "cgroup_sock_addr", "cgroup_udp6_recvmsg", since(5, 2), NOTHING),
    row("cgroup/recvmsg_unix", "cgroup_sock_addr", "cgroup_unix_recvmsg", since(6, 7), NOTHING),
    row("cgroup/getpeername4", "cgroup_sock_addr", "cgroup_inet4_getpeername", since(5, 8), NOTHING),
    row("cgroup/getpeername6", "cgroup_sock_addr", "cgroup_inet6_getpeername", since(5, 8), NOTHING),
    row("cgroup/getpeername_unix", "cgroup_sock_addr", "cgroup_unix_getpeername", since(6, 7), NOTHING),
    row("cgroup/getsockname4", "cgroup_sock_addr", "cgroup_inet4_getsockname", since(5, 8), NOTHING),
    row("cgroup/getsockname6", "cgroup_sock_addr", "cgroup_inet6_getsockname", since(5, 8), NOTHING),
    row("cgroup/getsockname_unix", "cgroup_sock_addr", "cgroup_unix_getsockname", since(6, 7), NOTHING),
    row("cgroup/sysctl", "cgroup_sysctl", "cgroup_sysctl", since(5, 2), NOTHING),
    row("cgroup/getsockopt", "cgroup_sockopt", "cgroup_getsockopt", since(5, 3), NOTHING),
    row("cgroup/setsockopt", "cgroup_sockopt", "cgroup_setsockopt", since(5, 3), NOTHING),
    row("cgroup/dev", "cgroup_device", "cgroup_device", since(4, 15), NOTHING),
    row("struct_ops+", "struct_ops", "", since(5, 6), NOTHING),
    row("struct_ops.s+", "struct_ops", "", since(6, 3), SLEEPABLE),
    row("sk_lookup", "sk_lookup", "sk_lookup", since(5, 9), NOTHING),
    row("netfilter", "netfilter", "netfilter", since(6, 4), NOTHING),
];

/// Sections that the exporter itself gives a meaning.
const OWN_XDP: SectionKind = row("xdp+", "xdp", "xdp", since(4, 8), ATTACHES);
const OWN_XDP_FRAGS: SectionKind = row("xdp.frags+", "xdp", "xdp", since(5, 18), ATTACHES);
const OWN_PERF_EVENT: SectionKind = row("perf_event+", "perf_event", "", since(4, 9), ATTACHES);

impl SectionKind {
    /// All that there are, in libbpf's order.
    pub fn all() -> impl Iterator<Item = Self> {
        KINDS.iter().copied()
    }

    /// What a section (without a leading `?`) is; none when neither libbpf nor the exporter knows it.
    #[must_use]
    pub fn of(section: &str) -> Option<Self> {
        KINDS.iter().find(|kind| kind.matches(section)).copied().or_else(|| {
            [OWN_XDP, OWN_XDP_FRAGS, OWN_PERF_EVENT].into_iter().find(|kind| kind.matches(section))
        })
    }

    /// The part of the section's name that stands for all sections of the kind.
    #[must_use]
    pub fn prefix(&self) -> &'static str {
        self.pattern.strip_suffix('+').unwrap_or(self.pattern)
    }

    /// What follows the prefix: a function, a tracepoint, a file, an interface.
    #[must_use]
    pub fn target<'a>(&self, section: &'a str) -> Option<&'a str> {
        section.strip_prefix(self.prefix())?.strip_prefix('/').filter(|target| !target.is_empty())
    }

    /// Whether its programs may sleep.
    #[must_use]
    pub fn is_sleepable(&self) -> bool {
        self.flags & SLEEPABLE != 0
    }

    /// Whether its target is looked up in the kernel's BTF.
    #[must_use]
    pub fn is_by_btf(&self) -> bool {
        self.flags & BY_BTF != 0
    }

    /// Whether a section of the kind is attached, given that it names a target.
    #[must_use]
    pub fn attaches(&self) -> bool {
        self.flags & ATTACHES != 0
    }

    /// Whether it looks into the kernel, which takes `CAP_PERFMON`.
    #[must_use]
    pub fn traces(&self) -> bool {
        matches!(
            self.program_type,
            "kprobe"
                | "tracepoint"
                | "perf_event"
                | "raw_tracepoint"
                | "raw_tracepoint_writable"
                | "tracing"
                | "lsm"
                | "struct_ops"
                | "ext"
        )
    }

    /// Whether its section says which hook of cgroups it is: then it is attached to their root.
    #[must_use]
    pub fn is_of_cgroups(&self) -> bool {
        self.attach_type.is_some_and(|name| name.starts_with("cgroup_") || name == "lsm_cgroup")
    }

    /// Whether it is a hook of network namespaces: then it is attached to the exporter's own.
    #[must_use]
    pub fn is_of_namespaces(&self) -> bool {
        matches!(self.program_type, "sk_lookup" | "flow_dissector")
    }

    fn matches(&self, section: &str) -> bool {
        match self.pattern.strip_suffix('+') {
            Some(prefix) => {
                section.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            None => section == self.pattern,
        }
    }
}

const fn row(
    pattern: &'static str,
    program_type: &'static str,
    attach_type: &'static str,
    floor: Option<Kernel>,
    flags: u8,
) -> SectionKind {
    let attach_type = if attach_type.is_empty() { None } else { Some(attach_type) };
    SectionKind { pattern, program_type, attach_type, floor, flags }
}

const fn since(major: u8, minor: u8) -> Option<Kernel> {
    Some(Kernel(major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(section: &str, expected: &str) {
        let found = SectionKind::of(section).map_or("unknown".to_owned(), |kind| {
            let floor = kind.floor.map_or("?".to_owned(), |floor| floor.to_string());
            let marks = [
                (kind.is_sleepable(), " sleeps"),
                (kind.is_by_btf(), " btf"),
                (kind.attaches(), " attaches"),
                (kind.is_of_cgroups(), " cgroups"),
            ];
            let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
            let target = kind.target(section).unwrap_or("-");
            format!("{} {} {target} {floor}{marks}", kind.program_type, kind.attach_type.unwrap_or("-"))
        });
        assert_eq!(found, expected, "{section}");
    }

    #[test]
    fn sections_are_matched_as_libbpf_does() {
        check("kprobe/vfs_read", "kprobe - vfs_read 4.1 attaches");
        check("kprobe", "kprobe - - 4.1 attaches");
        check("kprobe_multi/x", "unknown");
        check("kprobe.multi/tcp_*", "kprobe trace_kprobe_multi tcp_* 5.18 attaches");
        check("uprobe/libc:malloc", "kprobe - libc:malloc 4.1 attaches");
        check("tp/sched/sched_switch", "tracepoint - sched/sched_switch 4.7 attaches");
        check("tp_btf/sched_switch", "tracing trace_raw_tp sched_switch 5.5 btf attaches");
        check("fentry.s/do_unlinkat", "tracing trace_fentry do_unlinkat 5.10 sleeps btf attaches");
        check("lsm/file_open", "lsm lsm_mac file_open 5.7 btf attaches");
        check("iter/task", "tracing trace_iter task 5.8 btf attaches");
        check("freplace/f", "ext - f 5.6 btf");
        check("xdp", "xdp xdp - 4.8");
        check("xdp/devmap", "xdp xdp_devmap - 5.8");
        check("xdp/eth0", "xdp xdp eth0 4.8 attaches");
        check("xdp.frags/eth0", "xdp xdp eth0 5.18 attaches");
        check("perf_event", "perf_event - - 4.9");
        check(
            "perf_event/type=1,config=0,frequency=99",
            "perf_event - type=1,config=0,frequency=99 4.9 attaches",
        );
        check("tc", "sched_cls - - 4.1");
        check("tc/ingress", "sched_cls tcx_ingress - 6.6");
        check("cgroup/connect4", "cgroup_sock_addr cgroup_inet4_connect - 4.17 cgroups");
        check("cgroup/skb", "cgroup_skb - - 4.10");
        check("sockops", "sock_ops cgroup_sock_ops - 4.13 cgroups");
        check("lsm_cgroup/socket_bind", "lsm lsm_cgroup socket_bind 6.0 btf cgroups");
        check("struct_ops/init", "struct_ops - init 5.6");
        check("struct_ops.s/init", "struct_ops - init 6.3 sleeps");
        check("fsession/f", "tracing trace_fsession f 7.0 btf attaches");
        check("", "unknown");
        check(".text", "unknown");
    }
}
