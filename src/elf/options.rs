//! Options that a kernel has to be built with for programs of a kind of section.
//!
//! From `include/linux/bpf_types.h`, `kernel/trace/Kconfig` and `kernel/bpf/Kconfig`. Only what every
//! kernel that has the kind asks for; of options that stand on each other the lower one comes first.

use super::SectionKind;

/// What no kernel that loads a program is without: a configuration that does not set it is not all of one.
pub const ALWAYS_SET: &str = "CONFIG_BPF_SYSCALL";

const FUNCTIONS: &[&str] = &[
    "CONFIG_BPF_EVENTS",
    "CONFIG_BPF_JIT",
    "CONFIG_DEBUG_INFO_BTF",
    "CONFIG_FUNCTION_TRACER",
    "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS",
];

impl SectionKind {
    /// The options without which the kernel has no such hook; `target` is what follows the section's prefix.
    #[must_use]
    pub fn kernel_options(&self, target: Option<&str>) -> &'static [&'static str] {
        let prefix = self.prefix();
        match prefix.strip_suffix(".s").unwrap_or(prefix) {
            "kprobe" | "kretprobe" | "ksyscall" | "kretsyscall" => {
                &["CONFIG_KPROBES", "CONFIG_KPROBE_EVENTS", "CONFIG_BPF_EVENTS"]
            }
            "kprobe.multi" | "kretprobe.multi" | "kprobe.session" => &["CONFIG_FPROBE", "CONFIG_BPF_EVENTS"],
            "uprobe" | "uretprobe" | "usdt" | "uprobe.multi" | "uretprobe.multi" | "uprobe.session" => {
                &["CONFIG_UPROBES", "CONFIG_UPROBE_EVENTS", "CONFIG_BPF_EVENTS"]
            }
            "tracepoint" | "tp" if target.is_some_and(|target| target.starts_with("syscalls/")) => {
                &["CONFIG_BPF_EVENTS", "CONFIG_FTRACE_SYSCALLS"]
            }
            "tracepoint" | "tp" | "raw_tracepoint" | "raw_tp" | "raw_tracepoint.w" | "raw_tp.w"
            | "perf_event" => &["CONFIG_BPF_EVENTS"],
            "tp_btf" | "iter" => &["CONFIG_BPF_EVENTS", "CONFIG_DEBUG_INFO_BTF"],
            "fentry" | "fexit" | "fmod_ret" | "fsession" => FUNCTIONS,
            "lsm" => &["CONFIG_BPF_LSM", "CONFIG_DEBUG_INFO_BTF"],
            "lsm_cgroup" => &["CONFIG_BPF_LSM", "CONFIG_CGROUP_BPF", "CONFIG_DEBUG_INFO_BTF"],
            "struct_ops" => &["CONFIG_BPF_JIT", "CONFIG_DEBUG_INFO_BTF"],
            "netkit/primary" | "netkit/peer" => &["CONFIG_NETKIT"],
            "netfilter" => &["CONFIG_NETFILTER_BPF_LINK"],
            "sk_skb/stream_parser" => &["CONFIG_BPF_STREAM_PARSER"],
            "lirc_mode2" => &["CONFIG_BPF_LIRC_MODE2"],
            _ if self.program_type.starts_with("cgroup_") || self.program_type == "sock_ops" => {
                &["CONFIG_CGROUP_BPF"]
            }
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(section: &str, expected: &[&str]) {
        let kind = SectionKind::of(section).unwrap();
        assert_eq!(kind.kernel_options(kind.target(section)), expected, "{section}");
    }

    #[test]
    fn hooks_ask_for_options() {
        let probes: &[&str] = &["CONFIG_KPROBES", "CONFIG_KPROBE_EVENTS", "CONFIG_BPF_EVENTS"];
        for section in ["kprobe/do_exit", "kretprobe", "ksyscall/read"] {
            check(section, probes);
        }
        check("kprobe.multi/tcp_*", &["CONFIG_FPROBE", "CONFIG_BPF_EVENTS"]);
        check("uprobe.multi.s", &["CONFIG_UPROBES", "CONFIG_UPROBE_EVENTS", "CONFIG_BPF_EVENTS"]);
        check("tp/sched/sched_switch", &["CONFIG_BPF_EVENTS"]);
        check("tracepoint/syscalls/sys_enter_read", &["CONFIG_BPF_EVENTS", "CONFIG_FTRACE_SYSCALLS"]);
        check("fentry.s/do_exit", FUNCTIONS);
        check("lsm.s/file_open", &["CONFIG_BPF_LSM", "CONFIG_DEBUG_INFO_BTF"]);
        check("cgroup/connect4", &["CONFIG_CGROUP_BPF"]);
        check("cgroup/skb", &["CONFIG_CGROUP_BPF"]);
        check("sockops", &["CONFIG_CGROUP_BPF"]);
        for section in ["xdp", "tc", "socket", "syscall"] {
            check(section, &[]);
        }
    }
}
