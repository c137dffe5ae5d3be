// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Network polls (NAPI) by CPU: how many there were, the packets that they took,
 * and how often one took all that it may and had to be called again.
 */
#include "include/network_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/maps.bpf.h"

struct polls {
    u64 polls;
    u64 packets;
    u64 exhausted;
};

/* One for each CPU. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct polls);
} napi SEC(".maps");

SEC("tp_btf/napi_poll")
int BPF_PROG(napi_poll, struct napi_struct *device, int packets, int budget)
{
    struct polls *polls;
    u32 key = 0;

    read_array_ptr(&napi, &key, polls);
    polls->polls += 1;
    if (packets > 0)
        polls->packets += packets;
    if (packets >= budget && budget > 0)
        polls->exhausted += 1;
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
