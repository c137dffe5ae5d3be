// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A program for each kind of hook that sees what sockets of a map send or receive. The sockets are those
 * that called.c connects to the kind's own port: of one socket the kernel shows what comes in to one map.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;

#include "counted.bpf.h"
#include "called.h"

struct {
    __uint(type, BPF_MAP_TYPE_SOCKMAP);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, u32);
} sockets SEC(".maps");

#define SOCKETS_FOR(name, port)                                                                     \
    SEC("?sockops")                                                                                 \
    int sockets_for_##name(struct bpf_sock_ops *context)                                            \
    {                                                                                               \
        u32 key = 0;                                                                                \
                                                                                                    \
        if (context->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB && context->remote_port == bpf_htonl(port)) \
            bpf_sock_map_update(context, &sockets, &key, BPF_ANY);                                  \
        return 1;                                                                                   \
    }

SOCKETS_FOR(sk_msg, STREAM_PORT)
SOCKETS_FOR(sk_skb_stream_parser, STREAM_PORT + 1)
SOCKETS_FOR(sk_skb_stream_verdict, STREAM_PORT + 2)
SOCKETS_FOR(sk_skb_verdict, STREAM_PORT + 3)

#define COUNTED(section, name, type, size, result) \
    SEC("?" section)                               \
    int on_##name(type *context)                   \
    {                                              \
        if (context->size == STREAM)               \
            count(0);                              \
        return result;                             \
    }

COUNTED("sk_msg", sk_msg, struct sk_msg_md, size, SK_PASS)
/* What it takes for the end of a message. */
COUNTED("sk_skb/stream_parser", sk_skb_stream_parser, struct __sk_buff, len, context->len)
COUNTED("sk_skb/stream_verdict", sk_skb_stream_verdict, struct __sk_buff, len, SK_PASS)
COUNTED("sk_skb/verdict", sk_skb_verdict, struct __sk_buff, len, SK_PASS)

/* A parser works for a verdict only. */
SEC("?sk_skb/stream_verdict")
int passes(struct __sk_buff *context)
{
    return SK_PASS;
}
