// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A program that is at work for long, so that much can happen while a call is on its way to the next one. */
#include "fallocate.bpf.h"

#define BYTES 16384
#define TIMES 10000

struct bytes {
    u8 from[BYTES];
    u8 to[BYTES];
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct bytes);
} copied SEC(".maps");

SEC("kprobe/vfs_fallocate")
int slowly(void *context)
{
    u32 key = 0;
    struct bytes *bytes = bpf_map_lookup_elem(&copied, &key);

    if (!bytes)
        return 0;
    for (int turn = 0; turn < TIMES; turn++)
        bpf_probe_read_kernel(bytes->to, BYTES, bytes->from);
    return 0;
}
