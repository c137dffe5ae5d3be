/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the test objects count: vfs_fallocate(), which nothing in a guest calls but its tests,
 * and whose arguments a caller chooses freely even where the call is refused.
 */
#ifndef FALLOCATE_BPF_H
#define FALLOCATE_BPF_H

#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

#include "maps.bpf.h"

typedef __s32 s32;
typedef __s64 s64;
typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct super_block {
    unsigned long s_magic;
};

struct inode {
    struct super_block *i_sb;
};

struct file {
    struct inode *f_inode;
};

#pragma clang attribute pop

#define COUNTS(name, key_type)               \
    struct {                                 \
        __uint(type, BPF_MAP_TYPE_HASH);     \
        __uint(max_entries, 64);             \
        __type(key, key_type);               \
        __type(value, u64);                  \
    } name SEC(".maps")

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#endif
