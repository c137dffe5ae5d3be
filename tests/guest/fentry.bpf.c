// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The same by fentry and fexit, which read arguments and follow pointers without a helper. */
#include "fallocate.bpf.h"

COUNTS(fentry_calls_total, u32);
COUNTS(fentry_bytes_total, u32);
COUNTS(fentry_file_systems_total, u64);
COUNTS(fexit_results_total, s32);

SEC("fentry/vfs_fallocate")
int BPF_PROG(on_entry, struct file *file, int mode, s64 offset, s64 length)
{
    u64 magic = file->f_inode->i_sb->s_magic;
    u32 key = mode;

    increment_map(&fentry_calls_total, &key, 1);
    increment_map(&fentry_bytes_total, &key, length);
    increment_map(&fentry_file_systems_total, &magic, 1);
    return 0;
}

SEC("fexit/vfs_fallocate")
int BPF_PROG(on_return, struct file *file, int mode, s64 offset, s64 length, int result)
{
    s32 key = result;

    increment_map(&fexit_results_total, &key, 1);
    return 0;
}
