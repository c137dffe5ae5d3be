// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* UDP datagrams that came to a socket and found no room, by the socket's control group. */
#include "include/network_types.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/maps.bpf.h"
#include "include/sockets.bpf.h"

struct drop_key {
    u64 cgroup;
    s32 result;
    u32 unused;
};

/* Control groups with both results; those that lose nothing more make room. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
    __uint(max_entries, 2048);
    __type(key, struct drop_key);
    __type(value, u64);
} udp_receive_drops_total SEC(".maps");

SEC("tp_btf/udp_fail_queue_rcv_skb")
int BPF_PROG(udp_dropped, int result, struct sock *socket)
{
    struct drop_key key = {};

    key.cgroup = cgroup_of_socket(socket);
    key.result = result;
    increment_map_nosync(&udp_receive_drops_total, &key, 1);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
