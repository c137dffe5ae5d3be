// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * On-CPU time: how long a task keeps a CPU once it has it, by how it gives it up.
 *
 * A time is counted when it ends. That of idle tasks is nobody's.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/latency.bpf.h"
#include "include/maps.bpf.h"
#include "include/tasks.bpf.h"

enum kind {
    VOLUNTARY,
    INVOLUNTARY,
    KINDS,
};

/* When the task that runs on each CPU began to. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, u64);
} running_since SEC(".maps");

/* One entry for each kind. Each CPU adds to memory of its own. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, KINDS);
    __type(key, u32);
    __type(value, struct latency);
} on_cpu_time_seconds SEC(".maps");

SEC("tp_btf/sched_switch")
int BPF_PROG(switched, bool preempt, struct task_struct *prev, struct task_struct *next)
{
    u64 now = bpf_ktime_get_ns(), began, *since;
    struct latency *latency;
    u32 zero = 0, kind;

    read_array_ptr(&running_since, &zero, since);
    began = *since;
    *since = now;
    /* The first switch of a CPU that is seen ends a time whose begin was not. All idle tasks have pid 0. */
    if (!began || prev->pid == 0)
        return 0;
    kind = goes_to_sleep(preempt, prev) ? VOLUNTARY : INVOLUNTARY;
    read_array_ptr(&on_cpu_time_seconds, &kind, latency);
    observe(latency, elapsed(began, now));
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
