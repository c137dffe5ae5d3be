// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Futexes: how long threads waited in the kernel for a lock, a condition or
 * another thread, by control group.
 *
 * A lock that is free never gets into the kernel, so that each wait is one for
 * something that another thread has, or has yet to do.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/latency.bpf.h"
#include "include/maps.bpf.h"
#include "include/registers.bpf.h"

#define X86_FUTEX 202
#define ARM64_FUTEX 98

/* The commands that wait; flags stand above the low 7 bits. */
#define FUTEX_COMMANDS 0x7f
#define FUTEX_WAIT 0
#define FUTEX_LOCK_PI 6
#define FUTEX_WAIT_BITSET 9
#define FUTEX_WAIT_REQUEUE_PI 11
#define FUTEX_LOCK_PI2 13

/*
 * When each thread began to wait: nearly all threads of programs with pools of
 * them do at one time, so that the size bounds threads; 5 MiB. Above it a wait is not
 * measured. A thread that is killed meanwhile takes its entry along.
 */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 65536);
    __type(key, u32);
    __type(value, u64);
} waiting_since SEC(".maps");

/*
 * By id of the control group (v2). 1024 are all containers of a full node and
 * its services; each CPU adds to memory of its own (a third of a MiB). Those
 * that are gone make room once they expire, see the YAML.
 */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 1024);
    __type(key, u64);
    __type(value, struct latency);
} cgroup_futex_wait_seconds SEC(".maps");

static __always_inline bool waits(struct pt_regs *regs)
{
    switch (second_argument(regs) & FUTEX_COMMANDS) {
    case FUTEX_WAIT:
    case FUTEX_LOCK_PI:
    case FUTEX_WAIT_BITSET:
    case FUTEX_WAIT_REQUEUE_PI:
    case FUTEX_LOCK_PI2:
        return true;
    default:
        return false;
    }
}

static __always_inline s64 futex_of(struct pt_regs *regs)
{
    return has_x86_numbers(regs) ? X86_FUTEX : ARM64_FUTEX;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(sys_enter, struct pt_regs *regs, long number)
{
    u32 pid = bpf_get_current_pid_tgid();
    u64 now;

    if (number != futex_of(regs) || !waits(regs) || is_compat())
        return 0;
    now = bpf_ktime_get_ns();
    bpf_map_update_elem(&waiting_since, &pid, &now, BPF_ANY);
    return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long result)
{
    u32 pid = bpf_get_current_pid_tgid();
    struct latency *latency;
    u64 cgroup, *since;

    if (number_at_exit(regs) != futex_of(regs))
        return 0;
    since = bpf_map_lookup_elem(&waiting_since, &pid);
    if (!since)
        return 0;
    cgroup = bpf_get_current_cgroup_id();
    latency = latency_of(&cgroup_futex_wait_seconds, &cgroup);
    if (latency)
        observe(latency, elapsed(*since, bpf_ktime_get_ns()));
    bpf_map_delete_elem(&waiting_since, &pid);
    return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(exited, struct task_struct *task)
{
    u32 pid = task->pid;

    bpf_map_delete_elem(&waiting_since, &pid);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
