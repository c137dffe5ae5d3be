// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Kinds of maps that kernels before 5.16 cannot read in batches, beside two that all can.
 * The length of a call is what is counted, its offset says where:
 * bits 32.. are the length of a prefix, the bits below an IPv4 address.
 */
#include <bpf/bpf_endian.h>

#include "fallocate.bpf.h"

#define SLOTS 16

struct prefix_key {
    u32 length;
    u32 address;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, SLOTS);
    __type(key, u32);
    __type(value, u64);
} slots_total SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 4096);
    __type(key, struct prefix_key);
    __type(value, u64);
} prefix_bytes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, u32);
    __type(value, u64);
} address_bytes SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 64);
    __type(key, u32);
    __type(value, u64);
} lengths_total SEC(".maps");

SEC("kprobe/vfs_fallocate")
int BPF_KPROBE(on_entry, struct file *file, int mode, u64 offset, u64 length)
{
    struct prefix_key prefix = {.length = offset >> 32, .address = bpf_htonl((u32)offset)};
    u32 prefix_length = prefix.length;
    u32 address = prefix.address;
    u32 slot = offset % SLOTS;

    increment_map_nosync(&slots_total, &slot, length);
    increment_map_nosync(&lengths_total, &prefix_length, length);
    bpf_map_update_elem(&address_bytes, &address, &length, BPF_ANY);
    bpf_map_update_elem(&prefix_bytes, &prefix, &length, BPF_ANY);
    return 0;
}
