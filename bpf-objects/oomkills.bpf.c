// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Processes that the kernel killed for want of memory, by the control group of the
 * victim: the one that allocates, and runs meanwhile, is often another.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/maps.bpf.h"
#include "include/tasks.bpf.h"

/*
 * By id of the control group (v2). Kills are rare, so that all CPUs share.
 * Groups without new victims make room once they expire, see the YAML.
 */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, u64);
    __type(value, u64);
} oom_kills_total SEC(".maps");

/*
 * Tasks that were marked and have not ended yet, for kernels before 6.8: there
 * the mark tells a pid alone. A victim ends within moments, or it stays here
 * with the machine stuck anyway.
 */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, u32);
    __type(value, u8);
} marked SEC(".maps");

static __always_inline bool tells_task(void)
{
    struct trace_event_raw_mark_victim *event = NULL;

    return bpf_core_field_exists(event->uid);
}

static __always_inline void count(struct task_struct *task)
{
    u64 cgroup = cgroup_of(task);

    increment_map(&oom_kills_total, &cgroup, 1);
}

SEC("tp_btf/mark_victim")
int mark_victim(u64 *context)
{
    u8 seen = 1;
    u32 pid;

    if (tells_task()) {
        count((struct task_struct *) context[0]);
        return 0;
    }
    pid = context[0];
    bpf_map_update_elem(&marked, &pid, &seen, BPF_ANY);
    return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(sched_process_exit, struct task_struct *task)
{
    u32 pid = task->pid;

    if (!tells_task() && bpf_map_delete_elem(&marked, &pid) == 0)
        count(task);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
