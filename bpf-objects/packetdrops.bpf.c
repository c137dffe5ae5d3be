// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Packets that the kernel dropped, by its own reason and by their protocol. */
#include "include/network_types.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/maps.bpf.h"

/* A packet's ethertype, in the order of the network. */
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define ETH_P_ARP 0x0806

/* Since Linux 5.17 drops have a reason, whose names the kernel knows. Before that all have this one. */
enum skb_drop_reason {
    SKB_DROP_REASON_NOT_SPECIFIED = 2,
};

/* A sender chooses the ethertype: what is none of these is one label. */
enum packet_protocol {
    PROTOCOL_OTHER,
    PROTOCOL_IPV4,
    PROTOCOL_IPV6,
    PROTOCOL_ARP,
};

struct drop_key {
    enum skb_drop_reason reason;
    enum packet_protocol protocol;
};

/* Four protocols with 512 reasons: the kernel's about 130, and those of its modules (mac80211, openvswitch). */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 2048);
    __type(key, struct drop_key);
    __type(value, u64);
} packet_drops_total SEC(".maps");

static __always_inline enum packet_protocol protocol_of(const struct sk_buff *packet)
{
    switch (bpf_ntohs(packet->protocol)) {
    case ETH_P_IP:
        return PROTOCOL_IPV4;
    case ETH_P_IPV6:
        return PROTOCOL_IPV6;
    case ETH_P_ARP:
        return PROTOCOL_ARP;
    default:
        return PROTOCOL_OTHER;
    }
}

SEC("tp_btf/kfree_skb")
int kfree_skb(u64 *context)
{
    struct drop_key key = {};

    key.protocol = protocol_of((const struct sk_buff *) context[0]);
    if (bpf_core_enum_value_exists(enum skb_drop_reason, SKB_DROP_REASON_NOT_SPECIFIED))
        key.reason = (u32) context[2];
    else
        key.reason = SKB_DROP_REASON_NOT_SPECIFIED;
    increment_map_nosync(&packet_drops_total, &key, 1);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
