// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A way to attach that only newer kernels have, beside one that all have. */
#include "fallocate.bpf.h"

COUNTS(multi_calls_total, u32);
COUNTS(plain_calls_total, u32);

SEC("kprobe.multi/vfs_fallocate")
int on_entry_multi(struct pt_regs *context)
{
    u32 key = PT_REGS_PARM2(context);

    increment_map(&multi_calls_total, &key, 1);
    return 0;
}

SEC("kprobe/vfs_fallocate")
int on_entry_plain(struct pt_regs *context)
{
    u32 key = PT_REGS_PARM2(context);

    increment_map(&plain_calls_total, &key, 1);
    return 0;
}
