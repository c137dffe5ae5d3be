// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs whose functions the config names, for a kernel of any version. */
#include "fallocate.bpf.h"

COUNTS(placed_calls_total, u32);

static __always_inline int count(u32 key)
{
    increment_map(&placed_calls_total, &key, 1);
    return 0;
}

SEC("kprobe")
int by_kprobe(struct pt_regs *context)
{
    return count(1);
}

SEC("kretprobe")
int by_kretprobe(struct pt_regs *context)
{
    return count(2);
}

SEC("fentry")
int by_fentry(u64 *context)
{
    return count(3);
}

/* The config names another function than the section. */
SEC("fexit/do_unlinkat")
int by_fexit(u64 *context)
{
    return count(4);
}

SEC("kprobe.multi")
int by_pattern(struct pt_regs *context)
{
    return count(5);
}

SEC("fentry")
int by_nothing(u64 *context)
{
    return count(6);
}
