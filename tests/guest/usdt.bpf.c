// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A probe that a program has itself, by libbpf's header for them. */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <linux/types.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/usdt.bpf.h>

typedef __u32 u32;
typedef __u64 u64;

#include "maps.bpf.h"

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, u32);
    __type(value, u64);
} hook_events_total SEC(".maps");

const volatile u32 hook = 0;

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline int count(void)
{
    u32 key = hook;

    increment_map(&hook_events_total, &key, 1);
    return 0;
}

SEC("?usdt//bin/called:bpftally:called")
int on_usdt(struct pt_regs *context)
{
    return count();
}

SEC("?usdt.s//bin/called:bpftally:called")
int on_usdt_s(struct pt_regs *context)
{
    return count();
}
