// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * TCP resets: those that came in, by the control group and state of the socket
 * that they ended, and those that were sent, by control group and the kernel's
 * reason.
 */
#include "include/network_types.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/maps.bpf.h"
#include "include/sockets.bpf.h"

/* Since Linux 6.10 resets have a reason, whose names the kernel knows. Before that all have this one. */
enum sk_rst_reason {
    SK_RST_REASON_NOT_SPECIFIED = 0,
};

struct received_key {
    u64 cgroup;
    u32 state;
    u32 unused;
};

struct sent_key {
    u64 cgroup;
    enum sk_rst_reason reason;
    u32 unused;
};

/* 512 control groups whose sockets are reset in all eight states in which that happens. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
    __uint(max_entries, 4096);
    __type(key, struct received_key);
    __type(value, u64);
} tcp_resets_received_total SEC(".maps");

/* As many with eight of the kernel's about 30 reasons. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
    __uint(max_entries, 4096);
    __type(key, struct sent_key);
    __type(value, u64);
} tcp_resets_sent_total SEC(".maps");

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(tcp_receive_reset, struct sock *socket)
{
    struct received_key key = {};

    key.cgroup = cgroup_of_socket(socket);
    key.state = socket->__sk_common.skc_state;
    increment_map_nosync(&tcp_resets_received_total, &key, 1);
    return 0;
}

/* There may be no socket, or one that has shrunk to a stand-in: then it is nobody's. */
SEC("tp_btf/tcp_send_reset")
int tcp_send_reset(u64 *context)
{
    const struct sock *socket = (const struct sock *) context[0];
    struct sent_key key = {};

    key.cgroup = socket && is_whole_socket(socket) ? cgroup_of_socket(socket) : ROOT_CGROUP;
    if (bpf_core_enum_value_exists(enum sk_rst_reason, SK_RST_REASON_NOT_SPECIFIED))
        key.reason = (u32) context[2];
    increment_map_nosync(&tcp_resets_sent_total, &key, 1);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
