// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs at functions of a module. */
#include "fallocate.bpf.h"

COUNTS(module_calls_total, u32);

static __always_inline int count(u32 key)
{
    increment_map(&module_calls_total, &key, 1);
    return 0;
}

SEC("kprobe")
int by_pattern(struct pt_regs *context)
{
    return count(1);
}

SEC("kprobe")
int by_name(struct pt_regs *context)
{
    return count(2);
}

SEC("kprobe/lo_ioctl")
int by_section(struct pt_regs *context)
{
    return count(3);
}
