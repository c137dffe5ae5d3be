/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What programs ask of a file that they are given, or that the current task has open. */
#ifndef BPFTALLY_FILES_BPF_H
#define BPFTALLY_FILES_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "devices.bpf.h"

#define S_IFMT 00170000
#define S_IFREG 0100000
#define S_IFBLK 0060000

/* Of the file system of the kernel's own in which all block devices lie. */
#define BDEVFS_MAGIC 0x62646576

/* Bits of x86's thread_info.status and arm64's thread_info.flags. */
#define TS_COMPAT 0x2
#define TIF_32BIT 22

/*
 * Where a file lies: the device, 0 for those that have none of their own (proc,
 * tmpfs, overlay, nfs), and the kind of file system by its magic number, which is
 * the same on all kernels and cheaper to read than a name. A block device that is
 * opened as a file lies on itself.
 */
struct place {
    u32 device;
    u32 filesystem;
};

static __always_inline u32 kind_of(struct inode___file *inode)
{
    return BPF_CORE_READ(inode, i_mode) & S_IFMT;
}

static __always_inline struct place place_of(struct inode___file *inode)
{
    struct place place = {};
    u32 device;

    if (kind_of(inode) == S_IFBLK) {
        place.device = user_device_of(BPF_CORE_READ(inode, i_rdev));
        place.filesystem = BDEVFS_MAGIC;
        return place;
    }
    device = BPF_CORE_READ(inode, i_sb, s_dev);
    if (device >> 20)
        place.device = user_device_of(device);
    place.filesystem = BPF_CORE_READ(inode, i_sb, s_magic);
    return place;
}

/* Pipes, terminals and sockets wait for somebody; these wait for a device at most. */
static __always_inline bool is_storage(struct inode___file *inode)
{
    u32 kind = kind_of(inode);

    return kind == S_IFREG || kind == S_IFBLK;
}

/* The file behind a number of the current task's; NULL when there is none. */
static __always_inline struct file *open_file(u64 number)
{
    struct task_struct___files *task = (void *) bpf_get_current_task();
    struct fdtable *table = BPF_CORE_READ(task, files, fdt);
    struct file **files = BPF_CORE_READ(table, fd), *file = NULL;

    number = (u32) number;
    if (number >= BPF_CORE_READ(table, max_fds))
        return NULL;
    bpf_probe_read_kernel(&file, sizeof(file), &files[number]);
    return file;
}

/* Whether the current task is in a call of a 32-bit program, whose numbers are another table's. */
static __always_inline bool in_compat_call(void)
{
    struct task_struct *task = (void *) bpf_get_current_task();
    struct task_struct___x86 *x86 = (void *) task;

    if (bpf_core_field_exists(x86->thread_info.status))
        return BPF_CORE_READ(x86, thread_info.status) & TS_COMPAT;
    return BPF_CORE_READ(task, thread_info.flags) & (1UL << TIF_32BIT);
}

/* Whether calls have the numbers of x86-64, and not those of arm64. */
static __always_inline bool has_x86_calls(void)
{
    struct pt_regs___x86_arguments *registers = NULL;

    return bpf_core_field_exists(registers->orig_ax);
}

/* The first argument of the call that begins. */
static __always_inline u64 first_argument_of_call(struct pt_regs *registers)
{
    struct pt_regs___x86_arguments *x86 = (void *) registers;
    struct pt_regs___arm64_arguments *arm64 = (void *) registers;

    if (bpf_core_field_exists(x86->orig_ax))
        return BPF_CORE_READ(x86, di);
    if (bpf_core_field_exists(arm64->syscallno))
        return BPF_CORE_READ(arm64, orig_x0);
    return -1;
}

/* Its fourth one. */
static __always_inline u64 fourth_argument_of_call(struct pt_regs *registers)
{
    struct pt_regs___x86_arguments *x86 = (void *) registers;
    struct pt_regs___arm64_arguments *arm64 = (void *) registers;

    if (bpf_core_field_exists(x86->orig_ax))
        return BPF_CORE_READ(x86, r10);
    if (bpf_core_field_exists(arm64->regs))
        return BPF_CORE_READ(arm64, regs[3]);
    return -1;
}

/* The number of the call that ends. */
static __always_inline s64 number_of_call(struct pt_regs *registers)
{
    struct pt_regs___x86_arguments *x86 = (void *) registers;
    struct pt_regs___arm64_arguments *arm64 = (void *) registers;

    if (bpf_core_field_exists(x86->orig_ax))
        return BPF_CORE_READ(x86, orig_ax);
    if (bpf_core_field_exists(arm64->syscallno))
        return BPF_CORE_READ(arm64, syscallno);
    return -1;
}

#endif
