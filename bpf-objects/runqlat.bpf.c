// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Run-queue latency: how long a task that could run waited for a CPU.
 *
 * The wait begins when the task is woken, is new, or is taken off a CPU
 * although it could go on; it ends when a CPU is given to it. The time belongs
 * to the task that waited (the next one of a switch), never to the one that
 * was running meanwhile.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/maps.bpf.h"
#include "include/tasks.bpf.h"

/* 2^26 us is 67 s; whoever waited longer counts in the last slot. */
#define MAX_LATENCY_SLOT 26

struct latency_key {
    u32 bucket;
};

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
 * Slots 0 to 26 and the sum. Each CPU adds to memory of its own. The type of an
 * array's key has to be an integer, which a struct latency_key has the shape of.
 */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, MAX_LATENCY_SLOT + 2);
    __type(key, u32);
    __type(value, u64);
} run_queue_latency_seconds SEC(".maps");

static __always_inline void begin_wait(u32 pid)
{
    u64 now = bpf_ktime_get_ns();

    /* All idle tasks have pid 0 and wait for nothing. */
    if (pid)
        bpf_map_update_elem(&waiting_since, &pid, &now, BPF_ANY);
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(woken, struct task_struct *task)
{
    /* A task that is woken on its CPU while it goes to sleep waits for nothing: it never left. */
    begin_wait(task->pid);
    return 0;
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(woken_new, struct task_struct *task)
{
    begin_wait(task->pid);
    return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(switched, bool preempt, struct task_struct *prev, struct task_struct *next)
{
    struct latency_key key = {};
    u32 pid = next->pid;
    u64 now, waited, *since;

    if (!goes_to_sleep(preempt, prev))
        begin_wait(prev->pid);

    since = bpf_map_lookup_elem(&waiting_since, &pid);
    if (!since)
        return 0;
    now = bpf_ktime_get_ns();
    waited = now > *since ? now - *since : 0;
    bpf_map_delete_elem(&waiting_since, &pid);
    increment_exp2_histogram_nosync(&run_queue_latency_seconds, key, waited / 1000,
                                    MAX_LATENCY_SLOT);
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
