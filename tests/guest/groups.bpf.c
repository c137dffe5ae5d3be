// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Calls of control groups that are meant, by a hash of their ids. */
#include "fallocate.bpf.h"

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 64);
    __type(key, u64);
    __type(value, u64);
} chosen SEC(".maps");

u64 calls = 0;

SEC("kprobe/vfs_fallocate")
int BPF_KPROBE(on_entry, struct file *file, int mode, u64 offset, u64 length)
{
    u64 group = bpf_get_current_cgroup_id();

    if (bpf_map_lookup_elem(&chosen, &group))
        __sync_fetch_and_add(&calls, 1);
    return 0;
}
