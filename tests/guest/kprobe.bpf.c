// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Arguments and results by kprobe and kretprobe, with a CO-RE walk from an argument. */
#include "fallocate.bpf.h"

COUNTS(kprobe_calls_total, u32);
COUNTS(kprobe_bytes_total, u32);
COUNTS(kprobe_file_systems_total, u64);
COUNTS(kretprobe_results_total, s32);

SEC("kprobe/vfs_fallocate")
int BPF_KPROBE(on_entry, struct file *file, int mode, s64 offset, s64 length)
{
    u64 magic = BPF_CORE_READ(file, f_inode, i_sb, s_magic);
    u32 key = mode;

    increment_map(&kprobe_calls_total, &key, 1);
    increment_map(&kprobe_bytes_total, &key, length);
    increment_map(&kprobe_file_systems_total, &magic, 1);
    return 0;
}

SEC("kretprobe/vfs_fallocate")
int BPF_KRETPROBE(on_return, int result)
{
    s32 key = result;

    increment_map(&kretprobe_results_total, &key, 1);
    return 0;
}
