// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Run-queue length: tasks that run or could run on each CPU.
 *
 * The kernel's own number is copied at every context switch. Nothing is added
 * and taken away, so that an event that was missed, or that happened before
 * the start, cannot make it wrong.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/maps.bpf.h"

/* One number for each CPU. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, u64);
} run_queue_tasks SEC(".maps");

SEC("tp_btf/sched_switch")
int BPF_PROG(switched, bool preempt, struct task_struct *prev, struct task_struct *next)
{
    u32 key = 0;
    u64 *tasks;

    read_array_ptr(&run_queue_tasks, &key, tasks);
    /*
     * The next task belongs to the run queue of this CPU already. The symbol
     * `runqueues` would be the shorter way, but many kernels do not list it.
     */
    *tasks = next->se.cfs_rq->rq->nr_running;
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
