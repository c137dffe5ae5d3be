// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * TCP connections: how long connects took and why they failed, connections that
 * came in and how long they waited to be accepted, and the states that sockets
 * came to.
 *
 * A connect lasts from its first SYN until the socket is established. One that
 * is refused before that (no route, no free port) never was on the network.
 */
#include "include/network_types.bpf.h"
#include "include/file_types.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/files.bpf.h"
#include "include/latency.bpf.h"
#include "include/maps.bpf.h"
#include "include/sockets.bpf.h"

#define IPPROTO_TCP 6

#define X86_ACCEPT 43
#define X86_ACCEPT4 288
#define ARM64_ACCEPT 202
#define ARM64_ACCEPT4 242

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

/* Control groups that listen; those to which nobody connects any more make room. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
    __uint(max_entries, 2048);
    __type(key, u64);
    __type(value, u64);
} tcp_accepts_total SEC(".maps");

/*
 * When each connection began to wait in its listener's queue, which it leaves when it is accepted
 * or closed. Of sockets that are accepted otherwise (io_uring, where functions cannot be followed)
 * the end is not seen before they are closed; above that many the longest known make room.
 */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 16384);
    __type(key, u64);
    __type(value, u64);
} queued_since SEC(".maps");

/* As many as connect. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
    __uint(max_entries, 1024);
    __type(key, u64);
    __type(value, struct latency);
} tcp_accept_latency_seconds SEC(".maps");

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

static __always_inline void came_in(const struct sock *socket)
{
    u64 cgroup = cgroup_of_socket(socket), key = (u64) socket, now = bpf_ktime_get_ns();

    increment_map_nosync(&tcp_accepts_total, &cgroup, 1);
    bpf_map_update_elem(&queued_since, &key, &now, BPF_ANY);
}

static __always_inline int accepted(const struct sock *socket)
{
    u64 key = (u64) socket, cgroup, *since = bpf_map_lookup_elem(&queued_since, &key);
    struct latency *latency;

    if (!since)
        return 0;
    cgroup = cgroup_of_socket(socket);
    latency = latency_of(&tcp_accept_latency_seconds, &cgroup);
    if (latency)
        observe(latency, elapsed(*since, bpf_ktime_get_ns()));
    bpf_map_delete_elem(&queued_since, &key);
    return 0;
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
    /* Closed by its peer, it still waits to be accepted. */
    if (after == TCP_CLOSE)
        bpf_map_delete_elem(&queued_since, &key);
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
        came_in(socket);
    }
    return 0;
}

/* Where the kernel lets its functions be followed, nothing else costs anything. */
SEC("?fexit/inet_accept")
int BPF_PROG(accept_ends, struct socket *listener, struct socket *accepting)
{
    const struct sock *socket = BPF_CORE_READ(accepting, sk);

    return socket ? accepted(socket) : 0;
}

/* Elsewhere two calls are told apart from all others. */
static __always_inline bool is_accept(long number)
{
    if (has_x86_calls())
        return number == X86_ACCEPT || number == X86_ACCEPT4;
    return number == ARM64_ACCEPT || number == ARM64_ACCEPT4;
}

SEC("?tp_btf/sys_exit")
int BPF_PROG(accept_call_ends, struct pt_regs *registers, long result)
{
    struct socket *socket;
    struct file *file;

    if (result < 0 || !is_accept(number_of_call(registers)))
        return 0;
    file = open_file(result);
    if (!file)
        return 0;
    /* Of a file that is no socket any more, because another thread closed it, this is nobody's key. */
    socket = BPF_CORE_READ(file, private_data);
    return accepted(BPF_CORE_READ(socket, sk));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
