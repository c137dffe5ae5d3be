//! Helpers by number: name, first kernel, and whether they are for GPL programs alone.
//!
//! Names are those of `__BPF_FUNC_MAPPER` in `include/uapi/linux/bpf.h` (Linux 6.18). Numbers
//! were given in the order of time, so that kernels are ranges. Which are for the GPL alone is
//! `.gpl_only` of each `bpf_func_proto` in the kernel's source. That a helper exists does not
//! say that programs of every type may call it.
//!
//! Cross-checked: names and numbers against Debian's `linux-libc-dev` of 5.10, 6.1, 6.12 and 7.2;
//! the first kernels against those headers, bcc's `kernel-versions.md` and the table that
//! ebpf-docs makes of the kernel's history (`data/feature-versions.yaml`); what is for the
//! GPL alone against Debian's source of 6.1.

use super::floors::Kernel;

/// A kernel helper (`enum bpf_func_id`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Helper(pub u32);

const NAMES: [&str; 212] = [
    "unspec",
    "map_lookup_elem",
    "map_update_elem",
    "map_delete_elem",
    "probe_read",
    "ktime_get_ns",
    "trace_printk",
    "get_prandom_u32",
    "get_smp_processor_id",
    "skb_store_bytes",
    "l3_csum_replace",
    "l4_csum_replace",
    "tail_call",
    "clone_redirect",
    "get_current_pid_tgid",
    "get_current_uid_gid",
    "get_current_comm",
    "get_cgroup_classid",
    "skb_vlan_push",
    "skb_vlan_pop",
    "skb_get_tunnel_key",
    "skb_set_tunnel_key",
    "perf_event_read",
    "redirect",
    "get_route_realm",
    "perf_event_output",
    "skb_load_bytes",
    "get_stackid",
    "csum_diff",
    "skb_get_tunnel_opt",
    "skb_set_tunnel_opt",
    "skb_change_proto",
    "skb_change_type",
    "skb_under_cgroup",
    "get_hash_recalc",
    "get_current_task",
    "probe_write_user",
    "current_task_under_cgroup",
    "skb_change_tail",
    "skb_pull_data",
    "csum_update",
    "set_hash_invalid",
    "get_numa_node_id",
    "skb_change_head",
    "xdp_adjust_head",
    "probe_read_str",
    "get_socket_cookie",
    "get_socket_uid",
    "set_hash",
    "setsockopt",
    "skb_adjust_room",
    "redirect_map",
    "sk_redirect_map",
    "sock_map_update",
    "xdp_adjust_meta",
    "perf_event_read_value",
    "perf_prog_read_value",
    "getsockopt",
    "override_return",
    "sock_ops_cb_flags_set",
    "msg_redirect_map",
    "msg_apply_bytes",
    "msg_cork_bytes",
    "msg_pull_data",
    "bind",
    "xdp_adjust_tail",
    "skb_get_xfrm_state",
    "get_stack",
    "skb_load_bytes_relative",
    "fib_lookup",
    "sock_hash_update",
    "msg_redirect_hash",
    "sk_redirect_hash",
    "lwt_push_encap",
    "lwt_seg6_store_bytes",
    "lwt_seg6_adjust_srh",
    "lwt_seg6_action",
    "rc_repeat",
    "rc_keydown",
    "skb_cgroup_id",
    "get_current_cgroup_id",
    "get_local_storage",
    "sk_select_reuseport",
    "skb_ancestor_cgroup_id",
    "sk_lookup_tcp",
    "sk_lookup_udp",
    "sk_release",
    "map_push_elem",
    "map_pop_elem",
    "map_peek_elem",
    "msg_push_data",
    "msg_pop_data",
    "rc_pointer_rel",
    "spin_lock",
    "spin_unlock",
    "sk_fullsock",
    "tcp_sock",
    "skb_ecn_set_ce",
    "get_listener_sock",
    "skc_lookup_tcp",
    "tcp_check_syncookie",
    "sysctl_get_name",
    "sysctl_get_current_value",
    "sysctl_get_new_value",
    "sysctl_set_new_value",
    "strtol",
    "strtoul",
    "sk_storage_get",
    "sk_storage_delete",
    "send_signal",
    "tcp_gen_syncookie",
    "skb_output",
    "probe_read_user",
    "probe_read_kernel",
    "probe_read_user_str",
    "probe_read_kernel_str",
    "tcp_send_ack",
    "send_signal_thread",
    "jiffies64",
    "read_branch_records",
    "get_ns_current_pid_tgid",
    "xdp_output",
    "get_netns_cookie",
    "get_current_ancestor_cgroup_id",
    "sk_assign",
    "ktime_get_boot_ns",
    "seq_printf",
    "seq_write",
    "sk_cgroup_id",
    "sk_ancestor_cgroup_id",
    "ringbuf_output",
    "ringbuf_reserve",
    "ringbuf_submit",
    "ringbuf_discard",
    "ringbuf_query",
    "csum_level",
    "skc_to_tcp6_sock",
    "skc_to_tcp_sock",
    "skc_to_tcp_timewait_sock",
    "skc_to_tcp_request_sock",
    "skc_to_udp6_sock",
    "get_task_stack",
    "load_hdr_opt",
    "store_hdr_opt",
    "reserve_hdr_opt",
    "inode_storage_get",
    "inode_storage_delete",
    "d_path",
    "copy_from_user",
    "snprintf_btf",
    "seq_printf_btf",
    "skb_cgroup_classid",
    "redirect_neigh",
    "per_cpu_ptr",
    "this_cpu_ptr",
    "redirect_peer",
    "task_storage_get",
    "task_storage_delete",
    "get_current_task_btf",
    "bprm_opts_set",
    "ktime_get_coarse_ns",
    "ima_inode_hash",
    "sock_from_file",
    "check_mtu",
    "for_each_map_elem",
    "snprintf",
    "sys_bpf",
    "btf_find_by_name_kind",
    "sys_close",
    "timer_init",
    "timer_set_callback",
    "timer_start",
    "timer_cancel",
    "get_func_ip",
    "get_attach_cookie",
    "task_pt_regs",
    "get_branch_snapshot",
    "trace_vprintk",
    "skc_to_unix_sock",
    "kallsyms_lookup_name",
    "find_vma",
    "loop",
    "strncmp",
    "get_func_arg",
    "get_func_ret",
    "get_func_arg_cnt",
    "get_retval",
    "set_retval",
    "xdp_get_buff_len",
    "xdp_load_bytes",
    "xdp_store_bytes",
    "copy_from_user_task",
    "skb_set_tstamp",
    "ima_file_hash",
    "kptr_xchg",
    "map_lookup_percpu_elem",
    "skc_to_mptcp_sock",
    "dynptr_from_mem",
    "ringbuf_reserve_dynptr",
    "ringbuf_submit_dynptr",
    "ringbuf_discard_dynptr",
    "dynptr_read",
    "dynptr_write",
    "dynptr_data",
    "tcp_raw_gen_syncookie_ipv4",
    "tcp_raw_gen_syncookie_ipv6",
    "tcp_raw_check_syncookie_ipv4",
    "tcp_raw_check_syncookie_ipv6",
    "ktime_get_tai_ns",
    "user_ringbuf_drain",
    "cgrp_storage_get",
    "cgrp_storage_delete",
];

/// The first number of each kernel.
const FLOORS: &[(u32, Kernel)] = &[
    (1, Kernel(3, 19)),
    (4, Kernel(4, 1)),
    (12, Kernel(4, 2)),
    (17, Kernel(4, 3)),
    (23, Kernel(4, 4)),
    (26, Kernel(4, 5)),
    (27, Kernel(4, 6)),
    (31, Kernel(4, 8)),
    (37, Kernel(4, 9)),
    (42, Kernel(4, 10)),
    (45, Kernel(4, 11)),
    (46, Kernel(4, 12)),
    (48, Kernel(4, 13)),
    (51, Kernel(4, 14)),
    (54, Kernel(4, 15)),
    (58, Kernel(4, 16)),
    (60, Kernel(4, 17)),
    (65, Kernel(4, 18)),
    (81, Kernel(4, 19)),
    (84, Kernel(4, 20)),
    (91, Kernel(5, 0)),
    (93, Kernel(5, 1)),
    (99, Kernel(5, 2)),
    (109, Kernel(5, 3)),
    (110, Kernel(5, 4)),
    (111, Kernel(5, 5)),
    (116, Kernel(5, 6)),
    (119, Kernel(5, 7)),
    (125, Kernel(5, 8)),
    (136, Kernel(5, 9)),
    (142, Kernel(5, 10)),
    (156, Kernel(5, 11)),
    (163, Kernel(5, 12)),
    (164, Kernel(5, 13)),
    (166, Kernel(5, 14)),
    (169, Kernel(5, 15)),
    (176, Kernel(5, 16)),
    (180, Kernel(5, 17)),
    (186, Kernel(5, 18)),
    (194, Kernel(5, 19)),
    (204, Kernel(6, 0)),
    (208, Kernel(6, 1)),
    (210, Kernel(6, 2)),
];

/// In rising order. `ktime_get_ns` was one of them before 5.8.
const GPL_ONLY: &[u32] = &[
    4, 6, 22, 25, 27, 35, 36, 45, 55, 56, 58, 67, 69, 77, 78, 92, 100, 110, 111, 112, 113, 114, 115, 119,
    121, 126, 127, 150, 158, 163, 165, 169, 170, 171, 172, 173, 175, 176, 177, 191, 204, 205, 206, 207,
];

/// Helpers that read the kernel's memory: `probe_read` and its kin, `trace_printk`, `get_current_task`, `skc_to_...`,
/// `snprintf_btf`, `snprintf`, `task_pt_regs`, `trace_vprintk`.
const PERFMON: &[u32] =
    &[4, 6, 35, 45, 112, 113, 114, 115, 136, 137, 138, 139, 140, 149, 158, 165, 175, 177, 178, 196];

impl Helper {
    /// As C writes it: `bpf_map_lookup_elem`; the number when the helper came after this program.
    #[must_use]
    pub fn name(self) -> String {
        match self.short_name() {
            Some(name) => format!("bpf_{name}"),
            None => format!("helper#{}", self.0),
        }
    }

    /// The first kernel that had it.
    #[must_use]
    pub fn floor(self) -> Option<Kernel> {
        self.short_name()?;
        FLOORS.iter().rev().find(|(first, _)| *first <= self.0).map(|(_, kernel)| *kernel)
    }

    /// Whether only programs with a GPL-compatible licence may call it.
    #[must_use]
    pub fn is_gpl_only(self) -> bool {
        GPL_ONLY.binary_search(&self.0).is_ok()
    }

    /// Whether programs may call it only with `CAP_PERFMON`, of whatever type they are: those of `bpf_base_func_proto` and
    /// `bpf_sk_base_func_proto` behind their `bpf_token_capable(..., CAP_PERFMON)`, which read the kernel's memory.
    #[must_use]
    pub fn takes_perfmon(self) -> bool {
        PERFMON.binary_search(&self.0).is_ok()
    }

    fn short_name(self) -> Option<&'static str> {
        let index = usize::try_from(self.0).ok().filter(|index| *index > 0)?;
        NAMES.get(index).copied()
    }
}

/// Whether the kernel takes a licence for compatible with the GPL (`license_is_gpl_compatible`).
#[must_use]
pub fn is_gpl_compatible(license: &str) -> bool {
    matches!(
        license,
        "GPL" | "GPL v2" | "GPL and additional rights" | "Dual BSD/GPL" | "Dual MIT/GPL" | "Dual MPL/GPL"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(number: u32, name: &str, floor: Option<Kernel>, gpl_only: bool) {
        let helper = Helper(number);
        assert_eq!((helper.name().as_str(), helper.floor(), helper.is_gpl_only()), (name, floor, gpl_only));
    }

    #[test]
    fn helpers_are_known_by_number() {
        check(0, "helper#0", None, false);
        check(1, "bpf_map_lookup_elem", Some(Kernel(3, 19)), false);
        check(4, "bpf_probe_read", Some(Kernel(4, 1)), true);
        check(5, "bpf_ktime_get_ns", Some(Kernel(4, 1)), false);
        check(14, "bpf_get_current_pid_tgid", Some(Kernel(4, 2)), false);
        check(25, "bpf_perf_event_output", Some(Kernel(4, 4)), true);
        check(27, "bpf_get_stackid", Some(Kernel(4, 6)), true);
        check(45, "bpf_probe_read_str", Some(Kernel(4, 11)), true);
        check(80, "bpf_get_current_cgroup_id", Some(Kernel(4, 18)), false);
        check(113, "bpf_probe_read_kernel", Some(Kernel(5, 5)), true);
        check(118, "bpf_jiffies64", Some(Kernel(5, 6)), false);
        check(124, "bpf_sk_assign", Some(Kernel(5, 7)), false);
        check(130, "bpf_ringbuf_output", Some(Kernel(5, 8)), false);
        check(141, "bpf_get_task_stack", Some(Kernel(5, 9)), false);
        check(147, "bpf_d_path", Some(Kernel(5, 10)), false);
        check(156, "bpf_task_storage_get", Some(Kernel(5, 11)), false);
        check(164, "bpf_for_each_map_elem", Some(Kernel(5, 13)), false);
        check(171, "bpf_timer_start", Some(Kernel(5, 15)), true);
        check(181, "bpf_loop", Some(Kernel(5, 17)), false);
        check(195, "bpf_map_lookup_percpu_elem", Some(Kernel(5, 19)), false);
        check(211, "bpf_cgrp_storage_delete", Some(Kernel(6, 2)), false);
        check(212, "helper#212", None, false);
        check(u32::MAX, "helper#4294967295", None, false);
    }

    #[test]
    fn what_reads_the_kernel_takes_a_capability() {
        let named: Vec<_> = PERFMON.iter().map(|number| Helper(*number).name()).collect();
        let expected = [
            "probe_read",
            "trace_printk",
            "get_current_task",
            "probe_read_str",
            "probe_read_user",
            "probe_read_kernel",
            "probe_read_user_str",
            "probe_read_kernel_str",
            "skc_to_tcp6_sock",
            "skc_to_tcp_sock",
            "skc_to_tcp_timewait_sock",
            "skc_to_tcp_request_sock",
            "skc_to_udp6_sock",
            "snprintf_btf",
            "get_current_task_btf",
            "snprintf",
            "task_pt_regs",
            "trace_vprintk",
            "skc_to_unix_sock",
            "skc_to_mptcp_sock",
        ];
        assert_eq!(named, expected.map(|name| format!("bpf_{name}")));
        assert!(Helper(113).takes_perfmon() && !Helper(1).takes_perfmon());
    }

    #[test]
    fn the_tables_rise() {
        assert!(
            PERFMON.is_sorted()
                && GPL_ONLY.is_sorted()
                && FLOORS.is_sorted_by(|one, other| one.0 < other.0 && one.1 < other.1)
        );
    }

    #[test]
    fn licences_are_compared_as_the_kernel_does() {
        for good in ["GPL", "GPL v2", "Dual BSD/GPL", "Dual MIT/GPL"] {
            assert!(is_gpl_compatible(good), "{good}");
        }
        for bad in ["", "gpl", "GPLv2", "GPL-2.0", "MIT", "Apache-2.0", "GPL "] {
            assert!(!is_gpl_compatible(bad), "{bad}");
        }
    }
}
