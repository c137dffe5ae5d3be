/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a packet's IP header to what UDP or TCP carries, for programs whose
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

struct packet {
    struct packet_address source;
    struct packet_address destination;
    __u16 source_port;
    __u16 destination_port;
    __u8 protocol;
    /* Where the transport's header begins, and what it carries. */
    __u32 transport;
    __u32 payload;
    __u32 end;
    /* Of TCP. */
    __u32 sequence;
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

static __always_inline void packet_address_v4(struct packet_address *address, __u32 v4)
{
    address->words[0] = 0;
    address->words[1] = 0;
    address->words[2] = bpf_htonl(0xffff);
    address->words[3] = v4;
}

static __always_inline _Bool packet_ipv4(struct __sk_buff *skb, struct packet *packet)
{
    struct packet_ipv4 ip;

    if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)) || ip.version_and_words >> 4 != 4)
        return 0;
    packet->protocol = ip.protocol;
    /* Only the first fragment begins with a header of the transport. */
    if (ip.fragment & bpf_htons(0x1fff))
        return 0;
    packet->transport = (ip.version_and_words & 0xf) * 4;
    packet_address_v4(&packet->source, ip.source);
    packet_address_v4(&packet->destination, ip.destination);
    return 1;
}

static __always_inline _Bool packet_ipv6(struct __sk_buff *skb, struct packet *packet)
{
    struct packet_ipv6 ip;
    __u8 extension[4], next;
    __u32 at = sizeof(ip);

    if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)) || ip.version_and_class[0] >> 4 != 6)
        return 0;
    next = ip.next;
    for (int i = 0; i < PACKET_MAX_EXTENSIONS; i++) {
        if (next != PACKET_HOP_BY_HOP && next != PACKET_ROUTING && next != PACKET_FRAGMENT &&
            next != PACKET_AUTHENTICATION && next != PACKET_DESTINATION)
            break;
        if (bpf_skb_load_bytes(skb, at, extension, sizeof(extension)))
            return 0;
        if (next == PACKET_FRAGMENT) {
            if (extension[2] || extension[3] & 0xf8)
                return 0;
            at += 8;
        } else if (next == PACKET_AUTHENTICATION) {
            at += (extension[1] + 2) * 4;
        } else {
            at += (extension[1] + 1) * 8;
        }
        next = extension[0];
    }
    packet->protocol = next;
    packet->transport = at;
    packet->source = ip.source;
    packet->destination = ip.destination;
    return 1;
}

/* Addresses and ports of a packet of UDP or TCP; false for every other one. */
static __always_inline _Bool packet_ports(struct __sk_buff *skb, struct packet *packet)
{
    __be16 ports[2];

    if (skb->protocol == bpf_htons(PACKET_ETH_P_IP)) {
        if (!packet_ipv4(skb, packet))
            return 0;
    } else if (skb->protocol == bpf_htons(PACKET_ETH_P_IPV6)) {
        if (!packet_ipv6(skb, packet))
            return 0;
    } else {
        return 0;
    }
    if (packet->protocol != PACKET_UDP && packet->protocol != PACKET_TCP)
        return 0;
    if (bpf_skb_load_bytes(skb, packet->transport, ports, sizeof(ports)))
        return 0;
    packet->source_port = bpf_ntohs(ports[0]);
    packet->destination_port = bpf_ntohs(ports[1]);
    return 1;
}

/* Where the payload begins and ends, after packet_ports; false when its header is not whole. */
static __always_inline _Bool packet_payload(struct __sk_buff *skb, struct packet *packet)
{
    /* The sequence number, the one that is acknowledged, and the length of the header. */
    __be32 words[3];
    __be16 length;

    packet->end = skb->len;
    if (packet->protocol == PACKET_UDP) {
        if (bpf_skb_load_bytes(skb, packet->transport + 4, &length, sizeof(length)))
            return 0;
        packet->payload = packet->transport + 8;
        if (packet->transport + bpf_ntohs(length) < packet->end)
            packet->end = packet->transport + bpf_ntohs(length);
    } else {
        if (bpf_skb_load_bytes(skb, packet->transport + 4, words, sizeof(words)))
            return 0;
        packet->sequence = bpf_ntohl(words[0]);
        packet->payload = packet->transport + (bpf_ntohl(words[2]) >> 28) * 4;
    }
    return packet->payload <= packet->end;
}

#endif
