/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* System calls and arguments out of the registers, on each architecture. */
#ifndef BPFTALLY_REGISTERS_BPF_H
#define BPFTALLY_REGISTERS_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

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

/* Returned by a handler's end, which is no call. */
#define NO_SYSCALL -1

/*
 * 32-bit programs on a 64-bit kernel number their calls by another table, in
 * which 1 is exit and not write.
 */
static __always_inline bool is_compat(void)
{
    struct task_struct *task = (void *) bpf_get_current_task();
    struct task_struct___x86 *x86 = (void *) task;

    if (bpf_core_field_exists(x86->thread_info.status))
        return BPF_CORE_READ(x86, thread_info.status) & TS_COMPAT;
    return BPF_CORE_READ(task, thread_info.flags) & (1UL << TIF_32BIT);
}

/*
 * The number of the call that ends, and NO_SYSCALL where none does: a return
 * from a signal's handler has the register of the code that it goes back to as
 * its result, which may look like an error.
 */
static __always_inline s64 number_at_exit(struct pt_regs *regs)
{
    struct pt_regs___x86 *x86 = (void *) regs;
    struct pt_regs___arm64 *arm64 = (void *) regs;

    if (bpf_core_field_exists(x86->orig_ax))
        return BPF_CORE_READ(x86, orig_ax);
    if (bpf_core_field_exists(arm64->syscallno))
        return BPF_CORE_READ(arm64, syscallno);
    return NO_SYSCALL;
}

/* The error that a result is, and 0 for none. */
static __always_inline u32 error_of(long result)
{
    u32 errno = -result;

    if (result >= 0 || result < -MAX_ERRNO)
        return 0;
    if (errno >= ERESTARTSYS && errno <= ERESTART_RESTARTBLOCK)
        return 0;
    return errno;
}

/* Whether this kernel's system calls have the numbers of x86-64, not those of arm64 and newer ones. */
static __always_inline bool has_x86_numbers(struct pt_regs *regs)
{
    struct pt_regs___x86 *x86 = (void *) regs;

    return bpf_core_field_exists(x86->orig_ax);
}

/* The first argument of a function of the kernel at its entry. */
static __always_inline u64 function_argument(struct pt_regs *regs)
{
    struct pt_regs___x86 *x86 = (void *) regs;
    struct pt_regs___arm64 *arm64 = (void *) regs;

    if (has_x86_numbers(regs))
        return BPF_CORE_READ(x86, di);
    if (bpf_core_field_exists(arm64->regs))
        return BPF_CORE_READ(arm64, regs[0]);
    return 0;
}

/* What a function of the kernel returns. */
static __always_inline u64 function_result(struct pt_regs *regs)
{
    struct pt_regs___x86 *x86 = (void *) regs;
    struct pt_regs___arm64 *arm64 = (void *) regs;

    if (has_x86_numbers(regs))
        return BPF_CORE_READ(x86, ax);
    if (bpf_core_field_exists(arm64->regs))
        return BPF_CORE_READ(arm64, regs[0]);
    return 0;
}

/* The first argument of the system call that begins. */
static __always_inline u64 first_argument(struct pt_regs *regs)
{
    struct pt_regs___x86 *x86 = (void *) regs;
    struct pt_regs___arm64 *arm64 = (void *) regs;

    if (has_x86_numbers(regs))
        return BPF_CORE_READ(x86, di);
    if (bpf_core_field_exists(arm64->orig_x0))
        return BPF_CORE_READ(arm64, orig_x0);
    return 0;
}

/* Its second one. */
static __always_inline u64 second_argument(struct pt_regs *regs)
{
    struct pt_regs___x86 *x86 = (void *) regs;
    struct pt_regs___arm64 *arm64 = (void *) regs;

    if (has_x86_numbers(regs))
        return BPF_CORE_READ(x86, si);
    if (bpf_core_field_exists(arm64->regs))
        return BPF_CORE_READ(arm64, regs[1]);
    return 0;
}

#endif
