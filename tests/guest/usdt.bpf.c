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

#include "counted.bpf.h"

SEC("?usdt//bin/called:bpftally:called")
int on_usdt(struct pt_regs *context)
{
    return count(0);
}

SEC("?usdt.s//bin/called:bpftally:called")
int on_usdt_s(struct pt_regs *context)
{
    return count(0);
}
