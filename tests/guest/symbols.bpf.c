// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The address of a function of the kernel, for a label that shows its name. */
#include "fallocate.bpf.h"

extern const void schedule __ksym;

COUNTS(where_total, u64);

SEC("kprobe/vfs_fallocate")
int BPF_KPROBE(on_entry)
{
    u64 key = (u64)&schedule;

    increment_map(&where_total, &key, 1);
    return 0;
}
