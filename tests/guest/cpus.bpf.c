// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Context switches by CPU, by a performance event on each. */
#include "kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, u64);
} cpu_switches_total SEC(".maps");

SEC("perf_event") int switched(void *context)
{
    u32 zero = 0;
    u64 *switches = bpf_map_lookup_elem(&cpu_switches_total, &zero);

    if (switches)
        *switches += 1;
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
