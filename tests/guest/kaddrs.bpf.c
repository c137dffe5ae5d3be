// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The address of a variable of the kernel, and what stands there. */
#include "fallocate.bpf.h"

const volatile u64 kaddr_jiffies = 0;

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, u64);
} jiffies_now SEC(".maps"), jiffies_page SEC(".maps");

SEC("kprobe/vfs_fallocate")
int BPF_KPROBE(on_entry)
{
    /* Pages, because the exporter's numbers are floating-point on the page. */
    u64 page = kaddr_jiffies >> 12, now = 0;
    u32 zero = 0;

    bpf_probe_read_kernel(&now, sizeof(now), (void *)kaddr_jiffies);
    bpf_map_update_elem(&jiffies_now, &zero, &now, BPF_ANY);
    bpf_map_update_elem(&jiffies_page, &zero, &page, BPF_ANY);
    return 0;
}
