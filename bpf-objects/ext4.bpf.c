// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * ext4 below the VFS: how long its own operations took by device, and how long
 * its journal (jbd2) took to commit, for which all of them wait at times.
 *
 * By raw tracepoints, which a module has as well as the kernel itself, and of
 * whose arguments no type is needed: before Linux 5.11 a module has no BTF.
 */
#include "include/file_types.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "include/devices.bpf.h"
#include "include/latency.bpf.h"

enum ext4_operation {
    EXT4_SYNC,
    EXT4_WRITEPAGES,
    EXT4_UNLINK,
    EXT4_TRUNCATE,
    EXT4_FALLOCATE,
};

struct operation_key {
    u32 device;
    enum ext4_operation operation;
};

/* A sync writes pages: a task is in two of them then, but never in one twice. */
struct task_key {
    u32 pid;
    enum ext4_operation operation;
};

struct operation {
    u64 since;
    u32 device;
    u32 unused;
};

/*
 * Operations that are at work. Each ends in the task that began it, killed or not; one whose
 * end was missed makes room, because the kind of map does. 8192 at a time.
 */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 8192);
    __type(key, struct task_key);
    __type(value, struct operation);
} at_work SEC(".maps");

/* Five operations on a hundred file systems. 160 KiB on each CPU. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 512);
    __type(key, struct operation_key);
    __type(value, struct latency);
} ext4_operation_latency_seconds SEC(".maps");

/* Each journal commits by a thread of its own, one commit at a time. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1024);
    __type(key, u32);
    __type(value, u64);
} committing_since SEC(".maps");

/* One journal for a file system. 80 KiB on each CPU. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 256);
    __type(key, u32);
    __type(value, struct latency);
} ext4_journal_commit_seconds SEC(".maps");

static __always_inline int begins(enum ext4_operation kind, struct inode___file *inode)
{
    struct task_key key = {};
    struct operation operation = {};

    key.pid = bpf_get_current_pid_tgid();
    key.operation = kind;
    operation.device = user_device_of(BPF_CORE_READ(inode, i_sb, s_dev));
    operation.since = bpf_ktime_get_ns();
    bpf_map_update_elem(&at_work, &key, &operation, BPF_ANY);
    return 0;
}

static __always_inline int ends(enum ext4_operation kind)
{
    struct operation_key operation_key = {};
    struct operation *operation;
    struct task_key key = {};
    struct latency *latency;

    key.pid = bpf_get_current_pid_tgid();
    key.operation = kind;
    operation = bpf_map_lookup_elem(&at_work, &key);
    if (!operation)
        return 0;
    operation_key.device = operation->device;
    operation_key.operation = kind;
    latency = latency_of(&ext4_operation_latency_seconds, &operation_key);
    if (latency)
        observe(latency, elapsed(operation->since, bpf_ktime_get_ns()));
    bpf_map_delete_elem(&at_work, &key);
    return 0;
}

SEC("raw_tp/ext4_sync_file_enter")
int sync_begins(struct bpf_raw_tracepoint_args *context)
{
    struct file *file = (void *) context->args[0];

    return begins(EXT4_SYNC, BPF_CORE_READ(file, f_inode));
}

SEC("raw_tp/ext4_sync_file_exit")
int sync_ends(struct bpf_raw_tracepoint_args *context)
{
    return ends(EXT4_SYNC);
}

SEC("raw_tp/ext4_writepages")
int writepages_begins(struct bpf_raw_tracepoint_args *context)
{
    return begins(EXT4_WRITEPAGES, (void *) context->args[0]);
}

SEC("raw_tp/ext4_writepages_result")
int writepages_ends(struct bpf_raw_tracepoint_args *context)
{
    return ends(EXT4_WRITEPAGES);
}

SEC("raw_tp/ext4_unlink_enter")
int unlink_begins(struct bpf_raw_tracepoint_args *context)
{
    return begins(EXT4_UNLINK, (void *) context->args[0]);
}

SEC("raw_tp/ext4_unlink_exit")
int unlink_ends(struct bpf_raw_tracepoint_args *context)
{
    return ends(EXT4_UNLINK);
}

SEC("raw_tp/ext4_truncate_enter")
int truncate_begins(struct bpf_raw_tracepoint_args *context)
{
    return begins(EXT4_TRUNCATE, (void *) context->args[0]);
}

SEC("raw_tp/ext4_truncate_exit")
int truncate_ends(struct bpf_raw_tracepoint_args *context)
{
    return ends(EXT4_TRUNCATE);
}

SEC("raw_tp/ext4_fallocate_enter")
int fallocate_begins(struct bpf_raw_tracepoint_args *context)
{
    return begins(EXT4_FALLOCATE, (void *) context->args[0]);
}

SEC("raw_tp/ext4_fallocate_exit")
int fallocate_ends(struct bpf_raw_tracepoint_args *context)
{
    return ends(EXT4_FALLOCATE);
}

static __always_inline u32 device_of_journal(struct journal_s *journal)
{
    return user_device_of(BPF_CORE_READ(journal, j_fs_dev, bd_dev));
}

SEC("raw_tp/jbd2_start_commit")
int commit_begins(struct bpf_raw_tracepoint_args *context)
{
    u32 device = device_of_journal((void *) context->args[0]);
    u64 now = bpf_ktime_get_ns();

    bpf_map_update_elem(&committing_since, &device, &now, BPF_ANY);
    return 0;
}

SEC("raw_tp/jbd2_end_commit")
int commit_ends(struct bpf_raw_tracepoint_args *context)
{
    u32 device = device_of_journal((void *) context->args[0]);
    u64 *since = bpf_map_lookup_elem(&committing_since, &device);
    struct latency *latency;

    if (!since)
        return 0;
    latency = latency_of(&ext4_journal_commit_seconds, &device);
    if (latency)
        observe(latency, elapsed(*since, bpf_ktime_get_ns()));
    bpf_map_delete_elem(&committing_since, &device);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
