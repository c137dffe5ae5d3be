// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Off-CPU time: how long a task was away from a CPU, by what it went away for.
 *
 * A time is counted when the task has a CPU again. So it holds the wait for
 * the CPU after a wake-up, and a sleep that never ends is not in it.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/latency.bpf.h"
#include "include/maps.bpf.h"
#include "include/tasks.bpf.h"

enum reason {
    PREEMPTED,
    INTERRUPTIBLE,
    UNINTERRUPTIBLE,
    IDLE_WORKER,
    OTHER,
    REASONS,
};

struct absence {
    u64 since;
    u32 reason;
    u32 unused;
};

/*
 * When each task left, and why. Nearly all tasks of a machine are away at one
 * time, so that the size bounds tasks; 5.5 MiB. Above it an absence is not
 * measured. A task that is killed runs once more in order to end, which takes
 * its entry out.
 */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __type(key, u32);
    __type(value, struct absence);
} away SEC(".maps");

/* One entry for each reason. Each CPU adds to memory of its own. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, REASONS);
    __type(key, u32);
    __type(value, struct latency);
} off_cpu_time_seconds SEC(".maps");

static __always_inline enum reason reason_of(bool preempt, struct task_struct *task)
{
    long state = state_of(task);

    if (preempt || state == TASK_RUNNING)
        return PREEMPTED;
    if (state & TASK_INTERRUPTIBLE)
        return INTERRUPTIBLE;
    if (state & TASK_UNINTERRUPTIBLE)
        return state & TASK_NOLOAD ? IDLE_WORKER : UNINTERRUPTIBLE;
    return OTHER;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(switched, bool preempt, struct task_struct *prev, struct task_struct *next)
{
    struct absence absence = {}, *ended;
    u64 now = bpf_ktime_get_ns();
    struct latency *latency;
    u32 pid = prev->pid;

    /* All idle tasks have pid 0. */
    if (pid && !preempt && state_of(prev) & TASK_DEAD) {
        /* It never comes back; its pid will. */
        bpf_map_delete_elem(&away, &pid);
    } else if (pid) {
        absence.since = now;
        absence.reason = reason_of(preempt, prev);
        bpf_map_update_elem(&away, &pid, &absence, BPF_ANY);
    }

    pid = next->pid;
    ended = bpf_map_lookup_elem(&away, &pid);
    if (!ended)
        return 0;
    absence = *ended;
    bpf_map_delete_elem(&away, &pid);
    read_array_ptr(&off_cpu_time_seconds, &absence.reason, latency);
    observe(latency, elapsed(absence.since, now));
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
