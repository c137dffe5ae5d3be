// SPDX-License-Identifier: GPL-2.0
// Maps that the benchmark fills from user space, so that what a scrape meets is known. No event adds to them.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;

struct key {
    u32 a;
    u32 b;
    char comm[16];
};

struct slot_key {
    u32 device;
    u8 operation;
    u64 bucket;
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, struct key);
    __type(value, u64);
} plain SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 1024);
    __type(key, struct key);
    __type(value, u64);
} per_cpu SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, struct slot_key);
    __type(value, u64);
} slots SEC(".maps");

SEC("raw_tp/sched_process_exit")
int keeps_the_maps(void *ctx)
{
    struct slot_key slot = {};
    struct key key = {};

    // Nothing is ever under these keys' names but what the benchmark puts there.
    return bpf_map_lookup_elem(&plain, &key) || bpf_map_lookup_elem(&per_cpu, &key) ||
           bpf_map_lookup_elem(&slots, &slot);
}

char LICENSE[] SEC("license") = "GPL";
