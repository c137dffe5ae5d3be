// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * TCP connections that processes of this host open: how long the handshake took,
 * or why there is none, by process and port.
 *
 * From the moment a socket begins to connect until it is established or gives
 * up, as the state of the socket says. Who connects is known in the first moment
 * alone: later states are set by whatever runs when the packet comes.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/events.bpf.h"
#include "include/maps.bpf.h"
#include "include/network_types.bpf.h"

/* 2^27 us is 134 s, which is longer than Linux tries with its defaults. */
#define MAX_LATENCY_SLOT 27

#define AF_INET6 10
#define IPPROTO_TCP 6
#define ECANCELED 125

#define STATE_ESTABLISHED 1
#define STATE_SYN_SENT 2
/* Of a socket that was connecting: its peer is, too, and both are served. */
#define STATE_SYN_RECV 3

/* A connection that takes so long is a slow one, for which there is an event whatever the sample. */
const volatile u64 slow_us = 1000000;

/* Whether it came to a connection, as 0, or with which errno it did not. */
struct result_key {
    u32 error;
};

struct connecting {
    u64 begin;
    u32 process;
    char comm[16];
};

/* One that has ended, well or not. */
struct tcp_connect {
    u64 latency_us;
    u32 process;
    u32 error;
    u16 port;
    u16 family;
    /* Of IPv4 the first four bytes. */
    u8 address[16];
    char comm[16];
};

/* Sockets that wait for an answer. One that finds it full is not seen, and counted as an event that is lost. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __type(key, u64);
    __type(value, struct connecting);
} tcp_connecting SEC(".maps");

/*
 * 0 and the errnos, of which a handshake knows a handful. Each CPU adds to memory of its own, but
 * atomically: a packet's end of one connection interrupts a program's end of another.
 */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 256);
    __type(key, struct result_key);
    __type(value, u64);
} tcp_connects_total SEC(".maps");

/* Slots 0 to 27, and the sum; atomically, as above. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, MAX_LATENCY_SLOT + 2);
    __type(key, u32);
    __type(value, u64);
} tcp_connect_latency_seconds SEC(".maps");

/* 2300 events. */
EVENT_STREAM(tcp_events, struct tcp_connect, 256 * 1024);

static __always_inline void count_latency(u64 latency_us)
{
    u32 slot = exp2_slot(latency_us), sum = MAX_LATENCY_SLOT + 1;
    u64 *count;

    if (slot > MAX_LATENCY_SLOT)
        slot = MAX_LATENCY_SLOT;
    count = bpf_map_lookup_elem(&tcp_connect_latency_seconds, &slot);
    if (count)
        __sync_fetch_and_add(count, 1);
    count = bpf_map_lookup_elem(&tcp_connect_latency_seconds, &sum);
    if (count)
        __sync_fetch_and_add(count, latency_us);
}

static __always_inline void begin(u64 key)
{
    struct connecting connecting = {};

    connecting.begin = bpf_ktime_get_ns();
    connecting.process = bpf_get_current_pid_tgid() >> 32;
    bpf_get_current_comm(connecting.comm, sizeof(connecting.comm));
    if (bpf_map_update_elem(&tcp_connecting, &key, &connecting, BPF_ANY))
        event_lost(tcp_events, map_full);
}

static __always_inline void send_event(struct sock *socket, const struct connecting *from, u64 latency_us, u32 error)
{
    bool is_kept = error || latency_us >= slow_us;
    struct tcp_connect *event = reserve_event(tcp_events, struct tcp_connect, is_kept);

    if (!event)
        return;
    event->latency_us = latency_us;
    event->process = from->process;
    event->error = error;
    event->port = bpf_ntohs(BPF_CORE_READ(socket, __sk_common.skc_dport));
    event->family = BPF_CORE_READ(socket, __sk_common.skc_family);
    __builtin_memset(event->address, 0, sizeof(event->address));
    if (event->family == AF_INET6)
        BPF_CORE_READ_INTO(&event->address, socket, __sk_common.skc_v6_daddr);
    else
        BPF_CORE_READ_INTO((u32 *) event->address, socket, __sk_common.skc_daddr);
    __builtin_memcpy(event->comm, from->comm, sizeof(event->comm));
    bpf_ringbuf_submit(event, 0);
}

static __always_inline void end(struct sock *socket, u64 key, int state)
{
    struct connecting *found = bpf_map_lookup_elem(&tcp_connecting, &key), from;
    struct result_key result = {};
    u64 latency_us;

    /* It began before this program did, or there was no room. */
    if (!found)
        return;
    from = *found;
    bpf_map_delete_elem(&tcp_connecting, &key);
    latency_us = (bpf_ktime_get_ns() - from.begin) / 1000;
    /* A socket that its process closes before there is an answer has no error of its own. */
    if (state != STATE_ESTABLISHED && state != STATE_SYN_RECV)
        result.error = BPF_CORE_READ(socket, sk_err) ?: ECANCELED;
    increment_map(&tcp_connects_total, &result, 1);
    if (!result.error)
        count_latency(latency_us);
    send_event(socket, &from, latency_us, result.error);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(inet_sock_set_state, struct sock *socket, int before, int after)
{
    u64 key = (u64) socket;

    if (BPF_CORE_READ(socket, sk_protocol) != IPPROTO_TCP)
        return 0;
    if (after == STATE_SYN_SENT)
        begin(key);
    else if (before == STATE_SYN_SENT)
        end(socket, key, after);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
