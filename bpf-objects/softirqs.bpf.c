// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Softirqs served, by vector and CPU: what /proc/softirqs shows since the start. */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/maps.bpf.h"

/* The kernel has ten vectors since 2.6.39, HI_SOFTIRQ to RCU_SOFTIRQ. */
#define VECTORS 10

/* One entry for each vector. Each CPU adds to memory of its own. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, VECTORS);
    __type(key, u32);
    __type(value, u64);
} softirqs_total SEC(".maps");

SEC("tp_btf/softirq_entry")
int BPF_PROG(softirq_entry, unsigned int vector)
{
    u64 *count;

    read_array_ptr(&softirqs_total, &vector, count);
    *count += 1;
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
