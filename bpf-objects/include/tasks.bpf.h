/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What programs ask of a task that they are given. */
#ifndef BPFTALLY_TASKS_BPF_H
#define BPFTALLY_TASKS_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define TASK_RUNNING 0x0
#define TASK_INTERRUPTIBLE 0x1
#define TASK_UNINTERRUPTIBLE 0x2
#define TASK_DEAD 0x80
#define TASK_NOLOAD 0x400

#define PF_KTHREAD 0x00200000

/* Since Linux 5.14 a task's state has another name. */
static __always_inline long state_of(struct task_struct *task)
{
    struct task_struct___state *older = (void *) task;

    if (bpf_core_field_exists(task->__state))
        return task->__state;
    return older->state;
}

/*
 * Whether a task that leaves its CPU does so because it waits for something. One
 * that is preempted stays on the queue whatever its state says.
 */
static __always_inline bool goes_to_sleep(bool preempt, struct task_struct *task)
{
    return !preempt && state_of(task) != TASK_RUNNING;
}

/* The id of its control group in the v2 hierarchy. */
static __always_inline u64 cgroup_of(struct task_struct *task)
{
    return task->cgroups->dfl_cgrp->kn->id;
}

#endif
