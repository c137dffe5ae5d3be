// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Calls of control groups that are meant, by what is kept with a group itself (Linux 6.2). */
#include "fallocate.bpf.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct cgroup;

struct css_set {
    struct cgroup *dfl_cgrp;
};

struct task_struct {
    struct css_set *cgroups;
};

#pragma clang attribute pop

struct {
    __uint(type, 32); /* BPF_MAP_TYPE_CGRP_STORAGE */
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, u64);
} chosen SEC(".maps");

u64 calls = 0;

SEC("fentry/vfs_fallocate")
int BPF_PROG(on_entry, struct file *file, int mode, u64 offset, u64 length)
{
    struct task_struct *task = bpf_get_current_task_btf();

    if (bpf_cgrp_storage_get(&chosen, task->cgroups->dfl_cgrp, 0, 0))
        __sync_fetch_and_add(&calls, 1);
    return 0;
}
