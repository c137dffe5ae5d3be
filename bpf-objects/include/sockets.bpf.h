/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What programs ask of a socket that they are given. */
#ifndef BPFTALLY_SOCKETS_BPF_H
#define BPFTALLY_SOCKETS_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10

/* The root of the v2 hierarchy, to which a socket belongs that has no other. */
#define ROOT_CGROUP 1

/* The numbers that user space knows them by, too. */
enum {
    TCP_ESTABLISHED = 1,
    TCP_SYN_SENT,
    TCP_SYN_RECV,
    TCP_FIN_WAIT1,
    TCP_FIN_WAIT2,
    TCP_TIME_WAIT,
    TCP_CLOSE,
    TCP_CLOSE_WAIT,
    TCP_LAST_ACK,
    TCP_LISTEN,
    TCP_CLOSING,
    TCP_NEW_SYN_RECV,
};

/*
 * The id of the control group (v2) that a socket belongs to: its creator's, of an
 * accepted one the listener's. Packets are worked on by whoever runs at that
 * moment, so that nobody but the socket knows whose they are.
 */
static __always_inline u64 cgroup_of_socket(const struct sock *socket)
{
    const struct sock___val *older = (const void *) socket;
    struct cgroup *cgroup;
    u64 id, value;

    if (bpf_core_field_exists(socket->sk_cgrp_data.cgroup)) {
        cgroup = BPF_CORE_READ(socket, sk_cgrp_data.cgroup);
    } else {
        value = BPF_CORE_READ(older, sk_cgrp_data.val);
        cgroup = (struct cgroup *) (value & 3 ? 0 : value);
    }
    id = BPF_CORE_READ(cgroup, kn, id);
    return id ? id : ROOT_CGROUP;
}

/* Stand-ins of the kernel for connections that are not there yet, or not any more, are smaller than a socket. */
static __always_inline bool is_whole_socket(const struct sock *socket)
{
    u8 state = socket->__sk_common.skc_state;

    return state != TCP_TIME_WAIT && state != TCP_NEW_SYN_RECV;
}

#endif
