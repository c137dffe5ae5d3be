// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Hooks that packets and sockets pass. */
#include "hooks.bpf.h"

/* Interfaces. Lengths are told by comparisons that the verifier lets everybody make. */
#define REACHES(length) ((void *)(long)context->data + (length) <= (void *)(long)context->data_end)
#define IS_LONG(length) (REACHES(length) && !REACHES((length) + 1))
COUNTED("xdp", xdp, struct xdp_md, IS_LONG(LAYER_2), XDP_PASS)
COUNTED("xdp.frags", xdp_frags, struct xdp_md, IS_LONG(LAYER_2), XDP_PASS)
COUNTED("tcx/ingress", tcx_ingress, struct __sk_buff, OF_LENGTH(LAYER_2), -1)
COUNTED("tcx/egress", tcx_egress, struct __sk_buff, OF_LENGTH(LAYER_2), -1)
COUNTED("tc/ingress", tc_ingress, struct __sk_buff, OF_LENGTH(LAYER_2), -1)
COUNTED("tc/egress", tc_egress, struct __sk_buff, OF_LENGTH(LAYER_2), -1)
/* It wants the packet's hash, for which its flow is dissected. */
COUNTED("tc", tc, struct __sk_buff, OF_LENGTH(LAYER_2) && (bpf_get_hash_recalc(context), ALWAYS), -1)
COUNTED("netkit/primary", netkit_primary, struct __sk_buff, context->len == FRAME, -1)
COUNTED("netkit/peer", netkit_peer, struct __sk_buff, context->len == FRAME, -1)
/* The loopback interface shows what goes out and what comes in. */
COUNTED("socket", socket, struct __sk_buff, OF_LENGTH(LAYER_2), 0)

/* Network namespaces. */
#define IS_DATAGRAM (context->local_port == PORT && context->protocol == UDP && context->family == 2)
COUNTED("sk_lookup", sk_lookup, struct bpf_sk_lookup, IS_DATAGRAM, SK_PASS)

SEC("?flow_dissector")
int on_flow_dissector(struct __sk_buff *context)
{
    struct bpf_flow_keys *keys = context->flow_keys;

    if (keys->n_proto == bpf_htons(0x0800))
        count(0);
    return BPF_OK;
}
