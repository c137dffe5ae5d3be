// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The system call bpf by command, and its errors: who loads, reads and attaches
 * on this machine, this exporter included.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/maps.bpf.h"
#include "include/registers.bpf.h"

#define X86_BPF 321
#define ARM64_BPF 280

/* Linux has fewer than 40 commands; what no kernel knows is one series. */
#define MAX_COMMAND 63
#define NO_SUCH_COMMAND -1

struct error_key {
    s32 command;
    u32 errno;
};

/* Every number that is counted. Each CPU adds to memory of its own. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, MAX_COMMAND + 2);
    __type(key, s32);
    __type(value, u64);
} bpf_commands_total SEC(".maps");

/* ENOENT ends each walk through a map; others are few. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 1024);
    __type(key, struct error_key);
    __type(value, u64);
} bpf_command_errors_total SEC(".maps");

/* The command that each task is in; a call takes moments and always returns. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, u32);
    __type(value, s32);
} in_command SEC(".maps");

static __always_inline s64 bpf_of(struct pt_regs *regs)
{
    return has_x86_numbers(regs) ? X86_BPF : ARM64_BPF;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(sys_enter, struct pt_regs *regs, long number)
{
    u32 pid = bpf_get_current_pid_tgid(), asked;
    s32 command = NO_SUCH_COMMAND;

    if (number != bpf_of(regs) || is_compat())
        return 0;
    asked = first_argument(regs);
    if (asked <= MAX_COMMAND)
        command = asked;
    increment_map_nosync(&bpf_commands_total, &command, 1);
    bpf_map_update_elem(&in_command, &pid, &command, BPF_ANY);
    return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long result)
{
    u32 pid = bpf_get_current_pid_tgid();
    struct error_key key = {};
    s32 *command;

    if (number_at_exit(regs) != bpf_of(regs))
        return 0;
    command = bpf_map_lookup_elem(&in_command, &pid);
    if (!command)
        return 0;
    key.command = *command;
    key.errno = error_of(result);
    bpf_map_delete_elem(&in_command, &pid);
    if (key.errno)
        increment_map_nosync(&bpf_command_errors_total, &key, 1);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
