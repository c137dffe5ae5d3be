// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Packets by a hook of netfilter, whose context is the kernel's own: its layout comes from BTF. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

typedef __u32 u32;
typedef __u64 u64;

#include "counted.bpf.h"
#include "called.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sk_buff {
    unsigned int len;
};

struct bpf_nf_ctx {
    const void *state;
    struct sk_buff *skb;
};

#pragma clang attribute pop

SEC("?netfilter")
int on_netfilter(struct bpf_nf_ctx *context)
{
    if (context->skb->len == IPV4_HEADERS + PAYLOAD)
        count(1);
    return 1;
}
