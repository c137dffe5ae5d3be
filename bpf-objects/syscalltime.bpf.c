// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * How long system calls took, by name.
 *
 * Waiting for something to happen is what many calls are for: the time of
 * epoll_wait or futex says little about the kernel. Calls by the 32-bit table
 * are left out, because their numbers mean others.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/latency.bpf.h"
#include "include/maps.bpf.h"
#include "include/registers.bpf.h"

/* What a program asks for that no kernel has is one series, however many numbers it tries. */
#define MAX_SYSCALL 511
#define NO_SUCH_SYSCALL -1

struct call {
    u64 since;
    s32 syscall;
    u32 unused;
};

/*
 * The call that each task is in: nearly all tasks of a machine wait in one, so
 * that the size bounds tasks; 5.5 MiB. Above it a call is not measured. A call that never
 * returns ends with its task.
 */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __type(key, u32);
    __type(value, struct call);
} in_call SEC(".maps");

/* Every number that is measured. Each CPU adds to memory of its own (160 KiB). */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, MAX_SYSCALL + 2);
    __type(key, s32);
    __type(value, struct latency);
} syscall_time_seconds SEC(".maps");

SEC("tp_btf/sys_enter")
int BPF_PROG(sys_enter, struct pt_regs *regs, long number)
{
    u32 pid = bpf_get_current_pid_tgid();
    struct call call = {};

    if (is_compat())
        return 0;
    call.since = bpf_ktime_get_ns();
    call.syscall = number >= 0 && number <= MAX_SYSCALL ? number : NO_SUCH_SYSCALL;
    bpf_map_update_elem(&in_call, &pid, &call, BPF_ANY);
    return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long result)
{
    u64 now = bpf_ktime_get_ns();
    u32 pid = bpf_get_current_pid_tgid();
    struct call *call = bpf_map_lookup_elem(&in_call, &pid);
    struct latency *latency;

    /* A call that began before the start, the first return of a new task, or one by the 32-bit table. */
    if (!call)
        return 0;
    latency = latency_of(&syscall_time_seconds, &call->syscall);
    if (latency)
        observe(latency, elapsed(call->since, now));
    bpf_map_delete_elem(&in_call, &pid);
    return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(exited, struct task_struct *task)
{
    u32 pid = task->pid;

    bpf_map_delete_elem(&in_call, &pid);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
