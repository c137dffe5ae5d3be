// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Bytes that programs sent and received through sockets, by the socket's control
 * group and protocol, and the calls that it took them: payload without headers,
 * counted once, whatever the network makes of it.
 */
#include "include/network_types.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/sockets.bpf.h"

#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_MPTCP 262

/* Looks without taking; and what comes from the queue of errors was sent, not received. */
#define MSG_PEEK 0x2
#define MSG_ERRQUEUE 0x2000

enum socket_protocol {
    PROTOCOL_OTHER,
    PROTOCOL_TCP,
    PROTOCOL_UDP,
    PROTOCOL_UNIX,
};

struct traffic_key {
    u64 cgroup;
    enum socket_protocol protocol;
    u32 unused;
};

/* Each program adds to members of its own, so that one may interrupt the other. */
struct traffic {
    u64 sent_bytes;
    u64 sends;
    u64 received_bytes;
    u64 receives;
};

/* 512 control groups with all four protocols; those that are silent make room. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
    __uint(max_entries, 2048);
    __type(key, struct traffic_key);
    __type(value, struct traffic);
} socket_traffic SEC(".maps");

static const struct traffic none;

static __always_inline enum socket_protocol protocol_of(const struct sock *socket)
{
    u16 family = BPF_CORE_READ(socket, __sk_common.skc_family);
    u16 protocol = BPF_CORE_READ(socket, sk_protocol);

    if (family == AF_UNIX)
        return PROTOCOL_UNIX;
    if (family != AF_INET && family != AF_INET6)
        return PROTOCOL_OTHER;
    if (protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP)
        return PROTOCOL_TCP;
    return protocol == IPPROTO_UDP ? PROTOCOL_UDP : PROTOCOL_OTHER;
}

static __always_inline struct traffic *traffic_of(const struct sock *socket)
{
    struct traffic_key key = {};
    struct traffic *traffic;

    key.cgroup = cgroup_of_socket(socket);
    key.protocol = protocol_of(socket);
    traffic = bpf_map_lookup_elem(&socket_traffic, &key);
    if (!traffic) {
        bpf_map_update_elem(&socket_traffic, &key, &none, BPF_NOEXIST);
        traffic = bpf_map_lookup_elem(&socket_traffic, &key);
    }
    return traffic;
}

static __always_inline int sent(const struct sock *socket, int result)
{
    struct traffic *traffic;

    if (!socket || result < 0)
        return 0;
    traffic = traffic_of(socket);
    if (traffic) {
        traffic->sent_bytes += result;
        traffic->sends += 1;
    }
    return 0;
}

static __always_inline int received(const struct sock *socket, int result, int flags)
{
    struct traffic *traffic;

    if (!socket || result < 0 || flags & (MSG_PEEK | MSG_ERRQUEUE))
        return 0;
    traffic = traffic_of(socket);
    if (traffic) {
        traffic->received_bytes += result;
        traffic->receives += 1;
    }
    return 0;
}

/*
 * Since Linux 6.3, for all protocols. Sockets of IPv6 have programs of their
 * own, because what stands in for these before that has them, too.
 */
static __always_inline bool is_ipv6(const struct sock *socket)
{
    return socket && socket->__sk_common.skc_family == AF_INET6;
}

SEC("?tp_btf/sock_send_length")
int BPF_PROG(socket_sent, struct sock *socket, int result, int flags)
{
    return is_ipv6(socket) ? 0 : sent(socket, result);
}

SEC("?tp_btf/sock_send_length")
int BPF_PROG(ipv6_socket_sent, struct sock *socket, int result, int flags)
{
    return is_ipv6(socket) ? sent(socket, result) : 0;
}

SEC("?tp_btf/sock_recv_length")
int BPF_PROG(socket_received, struct sock *socket, int result, int flags)
{
    return is_ipv6(socket) ? 0 : received(socket, result, flags);
}

SEC("?tp_btf/sock_recv_length")
int BPF_PROG(ipv6_socket_received, struct sock *socket, int result, int flags)
{
    return is_ipv6(socket) ? received(socket, result, flags) : 0;
}

/* Before that, for the protocols of IPv4 and IPv6. */
SEC("?fexit/inet_sendmsg")
int BPF_PROG(inet_sent, struct socket *socket, struct msghdr *message, u64 size, int result)
{
    return sent(socket->sk, result);
}

SEC("?fexit/inet6_sendmsg")
int BPF_PROG(inet6_sent, struct socket *socket, struct msghdr *message, u64 size, int result)
{
    return sent(socket->sk, result);
}

SEC("?fexit/inet_recvmsg")
int BPF_PROG(inet_received, struct socket *socket, struct msghdr *message, u64 size, int flags, int result)
{
    return received(socket->sk, result, flags);
}

SEC("?fexit/inet6_recvmsg")
int BPF_PROG(inet6_received, struct socket *socket, struct msghdr *message, u64 size, int flags, int result)
{
    return received(socket->sk, result, flags);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
