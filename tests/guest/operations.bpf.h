/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A congestion control of TCP that counts how many connections choose it. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;

#include "counted.bpf.h"
#include "called.h"

struct sock;
struct tcp_congestion_ops {
    u32 (*ssthresh)(struct sock *sk);
    void (*cong_avoid)(struct sock *sk, u32 ack, u32 acked);
    u32 (*undo_cwnd)(struct sock *sk);
    void (*init)(struct sock *sk);
    char name[16];
} __attribute__((preserve_access_index));

SEC("struct_ops")
u32 threshold(u64 *context)
{
    return 2;
}

SEC("struct_ops")
void avoid(u64 *context)
{
}

SEC("struct_ops")
u32 undo(u64 *context)
{
    return 10;
}

#define CONGESTION_CONTROL(operations_section, program_section, program, control) \
    SEC(program_section)                                                          \
    void program(u64 *context)                                                    \
    {                                                                             \
        count(0);                                                                 \
    }                                                                             \
    SEC(operations_section)                                                       \
    struct tcp_congestion_ops operations = {                                      \
        .ssthresh = (void *) threshold,                                           \
        .cong_avoid = (void *) avoid,                                             \
        .undo_cwnd = (void *) undo,                                               \
        .init = (void *) program,                                                 \
        .name = control,                                                          \
    };
