// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Scheduling by control group: time on CPUs, waits for one, context switches,
 * moves between CPUs.
 *
 * A wait belongs to the group of the task that waited (the next one of a
 * switch), time and switch to the group of the one that ran.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/latency.bpf.h"
#include "include/maps.bpf.h"
#include "include/tasks.bpf.h"

struct scheduling {
    u64 cpu_nanoseconds;
    u64 voluntary;
    u64 involuntary;
    u64 migrations;
};

/* When the task that runs on each CPU began to. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, u64);
} running_since SEC(".maps");

/*
 * When each waiting task began to wait. An entry lives only while its task can
 * run and does not, so that the size bounds tasks that wait at one time, not
 * tasks. Above it a wait is not measured.
 */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __type(key, u32);
    __type(value, u64);
} waiting_since SEC(".maps");

/*
 * Both by id of the control group (v2). 1024 are all containers of a full node
 * and its services; each CPU adds to memory of its own (a third of a MiB).
 * Those that are gone make room once they expire, see the YAML: an LRU map
 * would drop entries early, because each CPU keeps free ones back.
 */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 1024);
    __type(key, u64);
    __type(value, struct latency);
} cgroup_run_queue_latency_seconds SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 1024);
    __type(key, u64);
    __type(value, struct scheduling);
} cgroup_scheduling SEC(".maps");

static const struct scheduling nothing;

static __always_inline struct scheduling *scheduling_of(struct task_struct *task)
{
    u64 cgroup = cgroup_of(task);
    struct scheduling *scheduling = bpf_map_lookup_elem(&cgroup_scheduling, &cgroup);

    if (!scheduling) {
        bpf_map_update_elem(&cgroup_scheduling, &cgroup, &nothing, BPF_NOEXIST);
        scheduling = bpf_map_lookup_elem(&cgroup_scheduling, &cgroup);
    }
    return scheduling;
}

static __always_inline void begin_wait(u32 pid, u64 now)
{
    /* All idle tasks have pid 0 and wait for nothing. */
    if (pid)
        bpf_map_update_elem(&waiting_since, &pid, &now, BPF_ANY);
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(woken, struct task_struct *task)
{
    begin_wait(task->pid, bpf_ktime_get_ns());
    return 0;
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(woken_new, struct task_struct *task)
{
    begin_wait(task->pid, bpf_ktime_get_ns());
    return 0;
}

static __always_inline void leave(bool sleeps, struct task_struct *task, u64 now)
{
    struct scheduling *scheduling;
    u32 zero = 0;
    u64 *since = bpf_map_lookup_elem(&running_since, &zero), began;

    if (!since)
        return;
    began = *since;
    *since = now;
    if (task->pid == 0)
        return;
    scheduling = scheduling_of(task);
    if (!scheduling)
        return;
    /* The first switch of a CPU that is seen ends a time whose begin was not. */
    if (began)
        scheduling->cpu_nanoseconds += elapsed(began, now);
    if (sleeps)
        scheduling->voluntary += 1;
    else
        scheduling->involuntary += 1;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(switched, bool preempt, struct task_struct *prev, struct task_struct *next)
{
    bool sleeps = goes_to_sleep(preempt, prev);
    u64 now = bpf_ktime_get_ns(), began, cgroup, *since;
    struct latency *latency;
    u32 pid = next->pid;

    leave(sleeps, prev, now);
    if (!sleeps)
        begin_wait(prev->pid, now);

    since = bpf_map_lookup_elem(&waiting_since, &pid);
    if (!since)
        return 0;
    began = *since;
    bpf_map_delete_elem(&waiting_since, &pid);
    cgroup = cgroup_of(next);
    latency = latency_of(&cgroup_run_queue_latency_seconds, &cgroup);
    if (latency)
        observe(latency, elapsed(began, now));
    return 0;
}

SEC("tp_btf/sched_migrate_task")
int BPF_PROG(migrated, struct task_struct *task, int cpu)
{
    struct scheduling *scheduling = scheduling_of(task);

    if (scheduling)
        scheduling->migrations += 1;
    return 0;
}

/* The kernel may leave out a nested event; what it left behind must not outlive the task. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(exited, struct task_struct *task)
{
    u32 pid = task->pid;

    bpf_map_delete_elem(&waiting_since, &pid);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
