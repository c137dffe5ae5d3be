// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Signals that were sent, by signal and by what became of them.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/maps.bpf.h"

struct signal_key {
    u32 signal;
    u32 result;
};

/* 64 signals with five results each. Each CPU adds to memory of its own. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 512);
    __type(key, struct signal_key);
    __type(value, u64);
} signals_sent_total SEC(".maps");

SEC("tp_btf/signal_generate")
int BPF_PROG(signal_generate, int signal, void *info, struct task_struct *task, int group, int result)
{
    struct signal_key key = {.signal = signal, .result = result};

    /* With interrupts off, so that no signal out of one (a timer's) comes between. */
    increment_map_nosync(&signals_sent_total, &key, 1);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
