// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Context switches by why the CPU was given up, and tasks that moved to another CPU.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/maps.bpf.h"
#include "include/tasks.bpf.h"

enum kind {
    VOLUNTARY,
    INVOLUNTARY,
    FROM_IDLE,
    KINDS,
};

/* One entry for each kind. Each CPU adds to memory of its own. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, KINDS);
    __type(key, u32);
    __type(value, u64);
} context_switches_total SEC(".maps");

/* One number, without labels. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, u64);
} task_migrations_total SEC(".maps");

SEC("tp_btf/sched_switch")
int BPF_PROG(switched, bool preempt, struct task_struct *prev, struct task_struct *next)
{
    u32 kind = INVOLUNTARY;

    /* All idle tasks have pid 0. */
    if (prev->pid == 0)
        kind = FROM_IDLE;
    else if (goes_to_sleep(preempt, prev))
        kind = VOLUNTARY;
    increment_map_nosync(&context_switches_total, &kind, 1);
    return 0;
}

SEC("tp_btf/sched_migrate_task")
int BPF_PROG(migrated, struct task_struct *task, int cpu)
{
    u32 zero = 0;

    /* With interrupts off, so that no wake-up in one comes between. */
    increment_map_nosync(&task_migrations_total, &zero, 1);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
