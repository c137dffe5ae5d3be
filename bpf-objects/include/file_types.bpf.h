/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The few members of the types of files that the programs here read: see
 * kernel_types.bpf.h, also for what follows `___`.
 */
#ifndef BPFTALLY_FILE_TYPES_BPF_H
#define BPFTALLY_FILE_TYPES_BPF_H

#include "kernel_types.bpf.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* File systems and what lies in them. */

struct super_block___file {
    u32 s_dev;
    unsigned long s_magic;
};

struct inode___file {
    unsigned short i_mode;
    u32 i_rdev;
    struct super_block___file *i_sb;
};

struct file {
    struct inode___file *f_inode;
    unsigned int f_flags;
    s64 f_pos;
    void *private_data;
};

/* The files that a task has open, by their numbers. */

struct fdtable {
    unsigned int max_fds;
    struct file **fd;
};

struct files_struct {
    struct fdtable *fdt;
};

struct task_struct___files {
    struct files_struct *files;
};

/* Where a system call's arguments are. */

struct pt_regs___x86_arguments {
    unsigned long di;
    unsigned long r10;
    unsigned long orig_ax;
};

struct pt_regs___arm64_arguments {
    u64 regs[31];
    u64 orig_x0;
    s32 syscallno;
};

/* The journal of ext4. */

struct block_device {
    u32 bd_dev;
};

struct journal_s {
    struct block_device *j_fs_dev;
};

/* Writeback. */

struct writeback_control {
    long nr_to_write;
};

struct bdi_writeback;

/* Since Linux 6.15 the event takes its numbers out of a struct: it has fewer arguments, and this name in its record. */
struct trace_event_raw_balance_dirty_pages {
    unsigned long wb_setpoint;
};

#pragma clang attribute pop

#endif
