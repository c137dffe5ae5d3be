// SPDX-License-Identifier: GPL-2.0
// Counts the system calls of one process.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

const volatile __u32 process;

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} system_calls_total SEC(".maps");

SEC("raw_tp/sys_enter")
int sys_enter(void *ctx)
{
    __u32 zero = 0;
    __u64 *count;

    if (bpf_get_current_pid_tgid() >> 32 != process)
        return 0;
    count = bpf_map_lookup_elem(&system_calls_total, &zero);
    if (count)
        __sync_fetch_and_add(count, 1);
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
