// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Starts and ends of processes: forks and ends of tasks by kind, execs by
 * control group, and how processes ended.
 *
 * A process ends with its last thread, whichever that is: its first thread may
 * be gone long before, and an exec from another thread ends the first one
 * without ending the process.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/maps.bpf.h"
#include "include/tasks.bpf.h"

#define SIGNAL_GROUP_EXIT 0x00000004

enum kind {
    PROCESS,
    THREAD,
    KERNEL_THREAD,
    KINDS,
};

struct process_key {
    u64 start_time;
    u32 tgid;
    u32 unused;
};

/* One entry for each kind. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, KINDS);
    __type(key, u32);
    __type(value, u64);
} task_forks_total SEC(".maps");

/* The same. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, KINDS);
    __type(key, u32);
    __type(value, u64);
} task_exits_total SEC(".maps");

/*
 * By id of the control group (v2). Control groups come and go on a host with
 * containers: those that start nothing any more make room for others. Each CPU
 * adds to memory of its own.
 */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
    __uint(max_entries, 2048);
    __type(key, u64);
    __type(value, u64);
} process_execs_total SEC(".maps");

/* A status has 8 bits: no code is without its place. Nearly all are 0, so that each CPU adds to memory of its own. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 256);
    __type(key, u32);
    __type(value, u64);
} process_exits_total SEC(".maps");

/* A signal's number has 7 bits. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 128);
    __type(key, u32);
    __type(value, u64);
} process_kills_total SEC(".maps");

/*
 * Processes that were counted as ended, for kernels before 6.16: when two last
 * threads end at once, each may see that none is left. Only ends within
 * microseconds of each other can meet, so that few entries do.
 */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, struct process_key);
    __type(value, u8);
} ended SEC(".maps");

/* Whether this is the end of the whole process, said once for each. */
static __always_inline bool ends_process(struct task_struct *task, u64 *context)
{
    struct trace_event_raw_sched_process_exit *event = NULL;
    struct process_key key = {};
    u8 seen = 1;

    /* The second argument exists where the event's record has it. */
    if (bpf_core_field_exists(event->group_dead))
        return context[1] & 0xff;

    if (task->signal->live.counter > 0)
        return false;
    key.tgid = task->tgid;
    key.start_time = task->group_leader->start_time;
    return bpf_map_update_elem(&ended, &key, &seen, BPF_NOEXIST) == 0;
}

/* What wait(2) will tell the parent. */
static __always_inline u32 status_of(struct task_struct *task)
{
    struct signal_struct *signal = task->signal;

    if (signal->flags & SIGNAL_GROUP_EXIT)
        return signal->group_exit_code;
    return task->group_leader->exit_code;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(sched_process_fork, struct task_struct *parent, struct task_struct *child)
{
    u32 kind = PROCESS;

    if (child->flags & PF_KTHREAD)
        kind = KERNEL_THREAD;
    else if (child->pid != child->tgid)
        kind = THREAD;
    increment_map_nosync(&task_forks_total, &kind, 1);
    return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(sched_process_exec, struct task_struct *task)
{
    u64 cgroup = cgroup_of(task);

    increment_map_nosync(&process_execs_total, &cgroup, 1);
    return 0;
}

SEC("tp_btf/sched_process_exit")
int sched_process_exit(u64 *context)
{
    struct task_struct *task = (struct task_struct *) context[0];
    u32 kind = THREAD, status, signal, code;

    if (task->flags & PF_KTHREAD)
        kind = KERNEL_THREAD;
    else if (ends_process(task, context))
        kind = PROCESS;
    increment_map_nosync(&task_exits_total, &kind, 1);
    if (kind != PROCESS)
        return 0;

    status = status_of(task);
    signal = status & 0x7f;
    if (signal) {
        increment_map_nosync(&process_kills_total, &signal, 1);
    } else {
        code = (status >> 8) & 0xff;
        increment_map_nosync(&process_exits_total, &code, 1);
    }
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
