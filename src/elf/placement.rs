//! Where programs of each kind of section can be attached: by the section's name, by the config, or by others alone.

use super::SectionKind;

impl SectionKind {
    /// The kinds of places that a config can name for its programs: keys of `attach`.
    #[must_use]
    pub fn places(&self) -> &'static [&'static str] {
        let prefix = self.prefix();
        match self.program_type {
            "cgroup_skb" => &["cgroup"],
            _ if self.is_of_cgroups() => &["cgroup"],
            "xdp" if self.attach_type == Some("xdp") => &["xdp"],
            "sched_cls" => match self.attach_type {
                Some("netkit_primary" | "netkit_peer") => &["netkit"],
                _ => &["tc"],
            },
            "perf_event" => &["perf_event"],
            "kprobe" if prefix.starts_with("usdt") => &["usdt"],
            "kprobe" if prefix.starts_with('u') => &["uprobe"],
            "kprobe" => &["kprobe"],
            "tracepoint" | "raw_tracepoint" | "raw_tracepoint_writable" => &["tracepoint"],
            "tracing" if self.attach_type == Some("trace_raw_tp") => &["tracepoint"],
            "tracing" if self.attach_type != Some("trace_iter") => &["function"],
            "lsm" => &["function"],
            "sk_lookup" | "flow_dissector" => &["netns"],
            "sk_msg" | "sk_skb" if self.attach_type.is_some() => &["sockmap"],
            "netfilter" => &["netfilter"],
            "socket_filter" => &["socket"],
            _ => &[],
        }
    }

    /// Why neither a section nor a config can say where its programs are attached; none of kinds of which one can.
    #[must_use]
    pub fn why_elsewhere(&self) -> Option<&'static str> {
        match self.program_type {
            "sched_act" => {
                Some("it is an action of a tc filter and no filter itself: SEC(\"tc\") sees the same packets")
            }
            "sk_reuseport" => Some(
                "it chooses among the sockets of a group, and the process that has them gives it to one of them \
                 (SO_ATTACH_REUSEPORT_EBPF)",
            ),
            "syscall" => {
                Some("it runs when a process calls it (BPF_PROG_TEST_RUN), and is attached to nothing")
            }
            "xdp" if self.attach_type != Some("xdp") => {
                Some("it runs for entries of a devmap or cpumap, and who fills the map names it there")
            }
            "lwt_in" | "lwt_out" | "lwt_xmit" | "lwt_seg6local" => {
                Some("it belongs to a route: `ip route` names it (`encap bpf`, `encap seg6local`)")
            }
            "sk_skb" if self.attach_type.is_none() => Some(
                "its section does not say which hook it is for: SEC(\"sk_skb/stream_verdict\") and \
                 SEC(\"sk_skb/stream_parser\") do",
            ),
            "lirc_mode2" => {
                Some("it belongs to an infrared receiver, which `ir-keytable` gives it (/dev/lirc0)")
            }
            "ext" => {
                Some("it replaces a function of a program that is loaded already, which no section can name")
            }
            _ => None,
        }
    }

    /// Whether it is one function of an implementation that the object gives to a subsystem of the kernel
    /// (`SEC(".struct_ops.link")`), which is attached as a whole.
    #[must_use]
    pub fn is_of_operations(&self) -> bool {
        self.program_type == "struct_ops"
    }

    /// The way to attach that a kernel has to know for it. Of `sk_reuseport` kernels before 5.14 have no name for
    /// the one that they have.
    #[must_use]
    pub fn needed_attach_type(&self) -> Option<&'static str> {
        self.attach_type.filter(|name| *name != "sk_reuseport_select")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind is attached by somebody: by its section, by the config, by being of cgroups, namespaces or
    /// operations; or it is said who else does it.
    #[test]
    fn every_kind_has_a_place_or_a_reason() {
        for kind in SectionKind::all() {
            let has_place = kind.attaches()
                || !kind.places().is_empty()
                || kind.is_of_namespaces()
                || kind.is_of_operations();
            assert_eq!(kind.why_elsewhere().is_none(), has_place, "{}", kind.prefix());
        }
    }

    #[test]
    fn places_are_by_kind() {
        #[track_caller]
        fn check(section: &str, expected: &[&str]) {
            assert_eq!(SectionKind::of(section).unwrap().places(), expected, "{section}");
        }
        check("kprobe.session/tcp_*", &["kprobe"]);
        check("uprobe.session.s", &["uprobe"]);
        check("usdt.s", &["usdt"]);
        check("tcx/egress", &["tc"]);
        check("netkit/peer", &["netkit"]);
        check("lsm_cgroup/socket_bind", &["cgroup"]);
        check("fsession.s/f", &["function"]);
        check("iter/task", &[]);
        check("sk_skb/verdict", &["sockmap"]);
        check("sk_msg", &["sockmap"]);
        check("sk_skb", &[]);
        check("xdp/cpumap", &[]);
        check("struct_ops/init", &[]);
    }
}
