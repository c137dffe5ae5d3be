// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * TCP connections that found the queue of their listener full: its program does
 * not accept them as fast as they come. The kernel drops the SYN, or the last
 * packet of the handshake, and the client tries again a second later.
 */
#include "include/network_types.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/maps.bpf.h"
#include "include/sockets.bpf.h"

#define ETH_P_IP 0x0800

struct listener_key {
    u64 cgroup;
    u16 port;
    u16 unused[3];
};

/* Listeners that overflow are few. One program interrupts none of the others on a CPU: packets come one by one. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
    __uint(max_entries, 1024);
    __type(key, struct listener_key);
    __type(value, u64);
} tcp_listen_overflows_total SEC(".maps");

static __always_inline int arrived(struct sock *listener)
{
    struct listener_key key = {};

    /* As the kernel asks itself a moment later. */
    if (listener->sk_ack_backlog <= listener->sk_max_ack_backlog)
        return 0;
    key.cgroup = cgroup_of_socket(listener);
    key.port = listener->__sk_common.skc_num;
    increment_map_nosync(&tcp_listen_overflows_total, &key, 1);
    return 0;
}

SEC("fentry/tcp_conn_request")
int BPF_PROG(syn_arrived, void *operations, void *family, struct sock *listener)
{
    return arrived(listener);
}

SEC("fentry/tcp_v4_syn_recv_sock")
int BPF_PROG(handshake_done, struct sock *listener)
{
    return arrived(listener);
}

/* A listener of IPv6 passes packets of IPv4 on to the function above. */
SEC("fentry/tcp_v6_syn_recv_sock")
int BPF_PROG(handshake_done_v6, struct sock *listener, struct sk_buff *packet)
{
    return packet->protocol == bpf_htons(ETH_P_IP) ? 0 : arrived(listener);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
