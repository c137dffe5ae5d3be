// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Packets and bytes that went through network interfaces, by direction and protocol.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ETH_P_IP 0x0800
#define ETH_P_ARP 0x0806
#define ETH_P_IPV6 0x86dd

#define IP_ICMP 1
#define IP_TCP 6
#define IP_UDP 17
#define IP_ICMPV6 58

/* Others look at the packet after this. */
#define TC_ACT_UNSPEC -1

enum interface_direction {
    INTERFACE_INGRESS,
    INTERFACE_EGRESS,
};

enum interface_protocol {
    INTERFACE_TCP,
    INTERFACE_UDP,
    INTERFACE_ICMP,
    INTERFACE_OTHER_IP,
    INTERFACE_ARP,
    INTERFACE_OTHER,
};

struct traffic_key {
    u32 interface;
    enum interface_direction direction;
    enum interface_protocol protocol;
};

struct traffic {
    u64 packets;
    u64 bytes;
};

/*
 * Two directions and three or four protocols of 512 interfaces: those of a full node, with a pair
 * of interfaces for each container. Those that are gone make room once they expire, see the YAML.
 *
 * Each CPU adds to memory of its own. Packets that come in interrupt the sending of one, but
 * their entry is another one.
 */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 4096);
    __type(key, struct traffic_key);
    __type(value, struct traffic);
} interface_traffic SEC(".maps");

static const struct traffic none;

static __always_inline enum interface_protocol protocol_of(struct __sk_buff *packet)
{
    u32 at;
    u8 protocol;

    switch (packet->protocol) {
    case bpf_htons(ETH_P_IP):
        at = 9;
        break;
    case bpf_htons(ETH_P_IPV6):
        at = 6;
        break;
    case bpf_htons(ETH_P_ARP):
        return INTERFACE_ARP;
    default:
        return INTERFACE_OTHER;
    }
    if (bpf_skb_load_bytes_relative(packet, at, &protocol, sizeof(protocol), BPF_HDR_START_NET))
        return INTERFACE_OTHER_IP;
    switch (protocol) {
    case IP_TCP:
        return INTERFACE_TCP;
    case IP_UDP:
        return INTERFACE_UDP;
    case IP_ICMP:
    case IP_ICMPV6:
        return INTERFACE_ICMP;
    default:
        return INTERFACE_OTHER_IP;
    }
}

static __always_inline int went(struct __sk_buff *packet, enum interface_direction direction)
{
    struct traffic_key key = {};
    struct traffic *traffic;
    u32 segments = packet->gso_segs;

    key.interface = packet->ifindex;
    key.direction = direction;
    key.protocol = protocol_of(packet);
    traffic = bpf_map_lookup_elem(&interface_traffic, &key);
    if (!traffic) {
        bpf_map_update_elem(&interface_traffic, &key, &none, BPF_NOEXIST);
        traffic = bpf_map_lookup_elem(&interface_traffic, &key);
    }
    if (traffic) {
        /* What the card, or the kernel after this, cuts into packets is counted as those. */
        traffic->packets += segments ? segments : 1;
        traffic->bytes += packet->len;
    }
    return TC_ACT_UNSPEC;
}

SEC("tc")
int came_in(struct __sk_buff *packet)
{
    return went(packet, INTERFACE_INGRESS);
}

SEC("tc")
int went_out(struct __sk_buff *packet)
{
    return went(packet, INTERFACE_EGRESS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
