// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * System calls by name, and those that failed by name and errno.
 *
 * 32-bit programs on a 64-bit kernel number their calls by another table, in
 * which 1 is exit and not write: their calls are counted apart, without a name.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/maps.bpf.h"
#include "include/registers.bpf.h"

/* What a program asks for that no kernel has is one series, however many numbers it tries. */
#define MAX_SYSCALL 1023
#define NO_SUCH_SYSCALL -1

struct error_key {
    s32 syscall;
    u32 errno;
};

/* Linux has fewer than 500 calls; 1024 holds every number that is counted. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 1025);
    __type(key, s32);
    __type(value, u64);
} syscalls_total SEC(".maps");

/* A busy host shows a few hundred pairs of a call and its errors. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 4096);
    __type(key, struct error_key);
    __type(value, u64);
} syscall_errors_total SEC(".maps");

/* One number, without labels. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, u64);
} compat_syscalls_total SEC(".maps");

static __always_inline s32 bounded(s64 number)
{
    return number >= 0 && number <= MAX_SYSCALL ? number : NO_SUCH_SYSCALL;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(sys_enter, struct pt_regs *regs, long number)
{
    s32 key = bounded(number);
    u32 zero = 0;

    if (is_compat())
        increment_map_nosync(&compat_syscalls_total, &zero, 1);
    else
        increment_map_nosync(&syscalls_total, &key, 1);
    return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long result)
{
    struct error_key key = {};
    s64 number;

    key.errno = error_of(result);
    if (!key.errno)
        return 0;
    number = number_at_exit(regs);
    if (number == NO_SYSCALL || is_compat())
        return 0;
    key.syscall = bounded(number);
    increment_map_nosync(&syscall_errors_total, &key, 1);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
