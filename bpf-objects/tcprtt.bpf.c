// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Round-trip time of TCP: the smoothed one that the kernel steers by, looked at
 * for each segment that comes in on an established connection. So connections
 * count by what they carry, as they do for whoever waits for them.
 */
#include "include/network_types.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/latency.bpf.h"
#include "include/sockets.bpf.h"

enum tcp_path {
    PATH_NETWORK,
    PATH_LOCAL,
};

struct rtt_key {
    u64 cgroup;
    enum tcp_path path;
    u32 unused;
};

/* 512 control groups that speak both ways; those that are silent make room. 340 KiB on each CPU. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
    __uint(max_entries, 1024);
    __type(key, struct rtt_key);
    __type(value, struct latency);
} tcp_round_trip_time_seconds SEC(".maps");

/* Whether both ends have one address, or this one is 127.0.0.0/8: the machine speaks to itself. */
static __always_inline enum tcp_path path_of(const struct sock *socket)
{
    const struct sock_common *common = &socket->__sk_common;
    u64 peer[2], own[2];

    if (common->skc_family != AF_INET6)
        return common->skc_daddr == common->skc_rcv_saddr || bpf_ntohl(common->skc_daddr) >> 24 == 127;

    bpf_core_read(peer, sizeof(peer), &common->skc_v6_daddr);
    bpf_core_read(own, sizeof(own), &common->skc_v6_rcv_saddr);
    return peer[0] == own[0] && peer[1] == own[1];
}

SEC("tp_btf/tcp_probe")
int BPF_PROG(tcp_probe, struct sock *socket)
{
    struct rtt_key key = {};
    struct latency *latency;
    /* Kept with three more bits, for the smoothing. */
    u64 microseconds = BPF_CORE_READ((struct tcp_sock *) socket, srtt_us) >> 3;

    /* Nothing has been measured yet. */
    if (!microseconds)
        return 0;
    key.cgroup = cgroup_of_socket(socket);
    key.path = path_of(socket);
    latency = latency_of(&tcp_round_trip_time_seconds, &key);
    if (latency)
        observe(latency, microseconds * 1000);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
