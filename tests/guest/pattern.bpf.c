// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs at many functions that the config means by a pattern, for a kernel of any version. */
#include "fallocate.bpf.h"

COUNTS(matched_calls_total, u32);

static __always_inline int count(u32 key)
{
    increment_map(&matched_calls_total, &key, 1);
    return 0;
}

SEC("kprobe")
int on_entries(struct pt_regs *context)
{
    return count(1);
}

SEC("kretprobe")
int on_returns(struct pt_regs *context)
{
    return count(2);
}

SEC("kprobe")
int on_none(struct pt_regs *context)
{
    return count(3);
}

SEC("kprobe")
int on_all(struct pt_regs *context)
{
    return count(4);
}
