/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The few members of the network's types that the programs here read: see kernel_types.bpf.h. */
#ifndef BPFTALLY_NETWORK_TYPES_BPF_H
#define BPFTALLY_NETWORK_TYPES_BPF_H

#include "kernel_types.bpf.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* Sockets. */

struct in6_addr {
    u8 s6_addr[16];
};

struct sock_common {
    u32 skc_daddr;
    u32 skc_rcv_saddr;
    u16 skc_dport;
    u16 skc_num;
    u16 skc_family;
    volatile unsigned char skc_state;
    struct in6_addr skc_v6_daddr;
    struct in6_addr skc_v6_rcv_saddr;
};

struct sock_cgroup_data {
    struct cgroup *cgroup;
};

/* Before Linux 5.15 and 5.10.90: a pointer, or what it marks with its low bits. */
struct sock_cgroup_data___val {
    u64 val;
};

struct sock {
    struct sock_common __sk_common;
    struct sock_cgroup_data sk_cgrp_data;
    u16 sk_protocol;
    int sk_err;
    u32 sk_ack_backlog;
    u32 sk_max_ack_backlog;
};

struct sock___val {
    struct sock_cgroup_data___val sk_cgrp_data;
};

struct tcp_sock {
    u32 srtt_us;
};

struct request_sock;

struct socket {
    struct sock *sk;
};

struct msghdr;

struct napi_struct;

/* Newer kernels show a retransmit that could not be sent, too, and say so. */
struct trace_event_raw_tcp_retransmit_skb {
    int err;
};

/* Packets. */

struct sk_buff {
    u16 protocol;
};

#pragma clang attribute pop

#endif
