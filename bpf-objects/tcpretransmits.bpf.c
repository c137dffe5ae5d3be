// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * TCP segments that were sent again, by the control group of their socket and by
 * the state that it was in: a SYN that is sent again (syn_sent) is a peer that
 * does not answer, a SYN-ACK (new_syn_recv) a client that does not, and anything
 * else is loss on the way.
 */
#include "include/network_types.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/maps.bpf.h"
#include "include/sockets.bpf.h"

struct retransmit_key {
    u64 cgroup;
    u32 state;
    u32 unused;
};

/*
 * 512 control groups whose sockets retransmit in all eight states that do. One
 * program may interrupt the other, and retransmits are rare: both add atomically.
 */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
    __uint(max_entries, 4096);
    __type(key, struct retransmit_key);
    __type(value, u64);
} tcp_retransmits_total SEC(".maps");

static __always_inline int retransmitted(const struct sock *socket, u32 state)
{
    struct retransmit_key key = {};

    key.cgroup = cgroup_of_socket(socket);
    key.state = state;
    increment_map(&tcp_retransmits_total, &key, 1);
    return 0;
}

/* Newer kernels show one that could not be sent, too, with its error. */
SEC("tp_btf/tcp_retransmit_skb")
int tcp_retransmit_skb(u64 *context)
{
    const struct sock *socket = (const struct sock *) context[0];
    struct trace_event_raw_tcp_retransmit_skb *event = NULL;

    if (bpf_core_field_exists(event->err) && (s32) context[2])
        return 0;
    return retransmitted(socket, socket->__sk_common.skc_state);
}

/* The socket is the listener: the connection has none yet. */
SEC("tp_btf/tcp_retransmit_synack")
int BPF_PROG(tcp_retransmit_synack, const struct sock *listener)
{
    return retransmitted(listener, TCP_NEW_SYN_RECV);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
