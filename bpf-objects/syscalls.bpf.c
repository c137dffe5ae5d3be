// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * System calls by name, and those that failed by name and errno.
 *
 * 32-bit programs on a 64-bit kernel number their calls by another table, in
 * which 1 is exit and not write: their calls are counted apart, without a name.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/maps.bpf.h"

/* What a program asks for that no kernel has is one series, however many numbers it tries. */
#define MAX_SYSCALL 1023
#define NO_SUCH_SYSCALL -1

/* A result in -4095 to -1 is an error; others are values, some of them pointers. */
#define MAX_ERRNO 4095

/*
 * Between 512 and 516 the kernel tells itself to restart the call. The program
 * sees EINTR or nothing, and which one is decided later: no error yet.
 */
#define ERESTARTSYS 512
#define ERESTART_RESTARTBLOCK 516

/* Bits of x86's thread_info.status and arm64's thread_info.flags. */
#define TS_COMPAT 0x2
#define TIF_32BIT 22

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

static __always_inline bool is_compat(void)
{
    struct task_struct *task = (void *) bpf_get_current_task();
    struct task_struct___x86 *x86 = (void *) task;

    if (bpf_core_field_exists(x86->thread_info.status))
        return BPF_CORE_READ(x86, thread_info.status) & TS_COMPAT;
    return BPF_CORE_READ(task, thread_info.flags) & (1UL << TIF_32BIT);
}

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
    struct pt_regs___x86 *x86 = (void *) regs;
    struct pt_regs___arm64 *arm64 = (void *) regs;
    struct error_key key = {};
    s64 number;

    if (result >= 0 || result < -MAX_ERRNO)
        return 0;
    key.errno = -result;
    if (key.errno >= ERESTARTSYS && key.errno <= ERESTART_RESTARTBLOCK)
        return 0;

    if (bpf_core_field_exists(x86->orig_ax))
        number = BPF_CORE_READ(x86, orig_ax);
    else if (bpf_core_field_exists(arm64->syscallno))
        number = BPF_CORE_READ(arm64, syscallno);
    else
        return 0;
    /*
     * A return from a signal's handler ends as no call (-1), with the register
     * of the code that it goes back to as the result, which may look like an error.
     */
    if (number == -1 || is_compat())
        return 0;
    key.syscall = bounded(number);
    increment_map_nosync(&syscall_errors_total, &key, 1);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
