// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * TCP connections: how long connects took and why they failed, connections that
 * came in, and the states that sockets came to.
 *
 * A connect lasts from its first SYN until the socket is established. One that
 * is refused before that (no route, no free port) never was on the network.
 */
#include "include/network_types.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/latency.bpf.h"
#include "include/maps.bpf.h"
#include "include/sockets.bpf.h"

#define IPPROTO_TCP 6

struct failure_key {
    u64 cgroup;
    u32 error;
    u32 unused;
};

/*
 * When each socket began to connect. A socket leaves that state through this
 * tracepoint alone, so that the size bounds connects at one time. Above it a
 * connect is not measured.
 */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __type(key, u64);
    __type(value, u64);
} connecting_since SEC(".maps");

/* The eleven states. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 16);
    __type(key, u32);
    __type(value, u64);
} tcp_state_changes_total SEC(".maps");

/* Control groups come and go: those that connect no more make room. 320 KiB on each CPU. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
    __uint(max_entries, 1024);
    __type(key, u64);
    __type(value, struct latency);
} tcp_connect_latency_seconds SEC(".maps");

/* A control group meets two or three errors. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
    __uint(max_entries, 4096);
    __type(key, struct failure_key);
    __type(value, u64);
} tcp_connect_failures_total SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
    __uint(max_entries, 2048);
    __type(key, u64);
    __type(value, u64);
} tcp_accepts_total SEC(".maps");

static __always_inline void succeeded(const struct sock *socket, u64 nanoseconds)
{
    u64 cgroup = cgroup_of_socket(socket);
    struct latency *latency = latency_of(&tcp_connect_latency_seconds, &cgroup);

    if (latency)
        observe(latency, nanoseconds);
}

static __always_inline void failed(const struct sock *socket)
{
    struct failure_key key = {};

    key.cgroup = cgroup_of_socket(socket);
    key.error = socket->sk_err;
    increment_map_nosync(&tcp_connect_failures_total, &key, 1);
}

static __always_inline void accepted(const struct sock *socket)
{
    u64 cgroup = cgroup_of_socket(socket);

    increment_map_nosync(&tcp_accepts_total, &cgroup, 1);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_set_state, const struct sock *socket, int before, int after)
{
    u64 key = (u64) socket, now, *since;
    u32 state = after;

    if (socket->sk_protocol != IPPROTO_TCP)
        return 0;
    increment_map_nosync(&tcp_state_changes_total, &state, 1);

    if (after == TCP_SYN_SENT) {
        now = bpf_ktime_get_ns();
        bpf_map_update_elem(&connecting_since, &key, &now, BPF_ANY);
        return 0;
    }
    /* Two that connect to each other at once go through this state, and are not connected yet. */
    if (after == TCP_SYN_RECV || (before != TCP_SYN_SENT && before != TCP_SYN_RECV))
        return 0;

    since = bpf_map_lookup_elem(&connecting_since, &key);
    if (since) {
        if (after == TCP_ESTABLISHED)
            succeeded(socket, elapsed(*since, bpf_ktime_get_ns()));
        else
            failed(socket);
        bpf_map_delete_elem(&connecting_since, &key);
    } else if (before == TCP_SYN_RECV && after == TCP_ESTABLISHED) {
        accepted(socket);
    }
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
