/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a packet's IP header to that of its transport, for programs whose
 * packets begin with the IP header, as those of cgroup_skb do.
 *
 * Everything is read through bpf_skb_load_bytes, which checks each bound, also
 * where a packet lies in pieces.
 *
 * Include your types first: vmlinux.h, or kernel_types.bpf.h beside this file.
 */
#ifndef BPFTALLY_PACKETS_BPF_H
#define BPFTALLY_PACKETS_BPF_H

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define PACKET_ETH_P_IP 0x0800
#define PACKET_ETH_P_IPV6 0x86dd

#define PACKET_TCP 6
#define PACKET_UDP 17

/* Extension headers of IPv6 that may stand before the transport's. */
#define PACKET_HOP_BY_HOP 0
#define PACKET_ROUTING 43
#define PACKET_FRAGMENT 44
#define PACKET_AUTHENTICATION 51
#define PACKET_DESTINATION 60
/* Each kind at most once, and destination options twice (RFC 8200). */
#define PACKET_MAX_EXTENSIONS 6

/* An IPv4 address is in the last four bytes, behind ::ffff. */
struct packet_address {
    __u32 words[4];
};

struct packet_ipv4 {
    __u8 version_and_words;
    __u8 service;
    __be16 length;
    __be16 id;
    __be16 fragment;
    __u8 ttl;
    __u8 protocol;
    __be16 checksum;
    __u32 source;
    __u32 destination;
};

struct packet_ipv6 {
    __u8 version_and_class[4];
    __be16 length;
    __u8 next;
    __u8 hops;
    struct packet_address source;
    struct packet_address destination;
};

/* Where the header of the transport begins, and which one it is: a protocol of IP. */
#define PACKET_TRANSPORT(at, protocol) ((at) << 8 | (protocol))
#define PACKET_TRANSPORT_AT(transport) ((transport) >> 8)
#define PACKET_TRANSPORT_PROTOCOL(transport) ((transport) & 0xff)

static __always_inline int packet_transport_v4(struct __sk_buff *skb)
{
    struct packet_ipv4 ip;

    if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)) || ip.version_and_words >> 4 != 4)
        return -1;
    /* Only the first fragment begins with a header of the transport. */
    if (ip.fragment & bpf_htons(0x1fff))
        return -1;
    return PACKET_TRANSPORT((ip.version_and_words & 0xf) * 4, ip.protocol);
}

/*
 * A function for itself: the verifier looks at its ways once, and not at the rest of the program for each of them.
 */
__noinline int packet_transport_v6(struct __sk_buff *skb)
{
    struct packet_ipv6 ip;
    __u8 extension[4], next;
    __u32 at = sizeof(ip);

    if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)) || ip.version_and_class[0] >> 4 != 6)
        return -1;
    next = ip.next;
    for (int i = 0; i < PACKET_MAX_EXTENSIONS; i++) {
        if (next != PACKET_HOP_BY_HOP && next != PACKET_ROUTING && next != PACKET_FRAGMENT &&
            next != PACKET_AUTHENTICATION && next != PACKET_DESTINATION)
            break;
        if (bpf_skb_load_bytes(skb, at, extension, sizeof(extension)))
            return -1;
        if (next == PACKET_FRAGMENT) {
            if (extension[2] || extension[3] & 0xf8)
                return -1;
            at += 8;
        } else if (next == PACKET_AUTHENTICATION) {
            at += (extension[1] + 2) * 4;
        } else {
            at += (extension[1] + 1) * 8;
        }
        next = extension[0];
    }
    return PACKET_TRANSPORT(at, next);
}

/* The transport of a packet; -1 when it has none. */
static __always_inline int packet_transport(struct __sk_buff *skb)
{
    if (skb->protocol == bpf_htons(PACKET_ETH_P_IP))
        return packet_transport_v4(skb);
    if (skb->protocol == bpf_htons(PACKET_ETH_P_IPV6))
        return packet_transport_v6(skb);
    return -1;
}

/* The address of a packet that has a transport. */
static __always_inline void packet_address(struct __sk_buff *skb, struct packet_address *address, __u32 at_v4,
                                           __u32 at_v6)
{
    if (skb->protocol == bpf_htons(PACKET_ETH_P_IPV6)) {
        bpf_skb_load_bytes(skb, at_v6, address, sizeof(*address));
        return;
    }
    address->words[0] = 0;
    address->words[1] = 0;
    address->words[2] = bpf_htonl(0xffff);
    bpf_skb_load_bytes(skb, at_v4, &address->words[3], sizeof(address->words[3]));
}

static __always_inline void packet_source(struct __sk_buff *skb, struct packet_address *address)
{
    packet_address(skb, address, __builtin_offsetof(struct packet_ipv4, source),
                   __builtin_offsetof(struct packet_ipv6, source));
}

static __always_inline void packet_destination(struct __sk_buff *skb, struct packet_address *address)
{
    packet_address(skb, address, __builtin_offsetof(struct packet_ipv4, destination),
                   __builtin_offsetof(struct packet_ipv6, destination));
}

#endif
