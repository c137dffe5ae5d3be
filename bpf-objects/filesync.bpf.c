// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * How long it took until files were safe on their device (fsync, fdatasync), by
 * device and file system, and what could not be made safe.
 */
#include "include/file_types.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/files.bpf.h"
#include "include/latency.bpf.h"
#include "include/maps.bpf.h"

#define X86_FSYNC 74
#define X86_FDATASYNC 75
#define ARM64_FSYNC 82
#define ARM64_FDATASYNC 83

/* A file system on top of another one passes the same task's call on, for another file. */
struct sync_key {
    u64 task;
    u64 file;
};

struct sync {
    u64 since;
    struct place place;
};

struct error_key {
    struct place place;
    s32 error;
};

/*
 * Calls that are being served. Each ends in the task that began it; one whose
 * end was missed makes room, because the kind of map does.
 */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 8192);
    __type(key, struct sync_key);
    __type(value, struct sync);
} syncing SEC(".maps");

/* File systems of a machine. 80 KiB on each CPU. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 256);
    __type(key, struct place);
    __type(value, struct latency);
} file_sync_latency_seconds SEC(".maps");

/* Errors are rare, so that all CPUs share. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, struct error_key);
    __type(value, u64);
} file_sync_errors_total SEC(".maps");

static __always_inline int begins(struct file *file, u64 key_file)
{
    struct sync_key key = {};
    struct sync sync = {};

    key.task = bpf_get_current_pid_tgid();
    key.file = key_file;
    sync.place = place_of(BPF_CORE_READ(file, f_inode));
    sync.since = bpf_ktime_get_ns();
    bpf_map_update_elem(&syncing, &key, &sync, BPF_ANY);
    return 0;
}

static __always_inline int ends(u64 key_file, s32 result)
{
    struct error_key error_key = {};
    struct latency *latency;
    struct sync_key key = {};
    struct sync *sync;

    key.task = bpf_get_current_pid_tgid();
    key.file = key_file;
    sync = bpf_map_lookup_elem(&syncing, &key);
    if (!sync)
        return 0;
    latency = latency_of(&file_sync_latency_seconds, &sync->place);
    if (latency)
        observe(latency, elapsed(sync->since, bpf_ktime_get_ns()));
    if (result < 0) {
        error_key.place = sync->place;
        error_key.error = result;
        increment_map(&file_sync_errors_total, &error_key, 1);
    }
    bpf_map_delete_elem(&syncing, &key);
    return 0;
}

/* Where the kernel lets its functions be followed, nothing else costs anything. */
SEC("?fentry/vfs_fsync_range")
int BPF_PROG(sync_begins, struct file *file)
{
    return begins(file, (u64) file);
}

SEC("?fexit/vfs_fsync_range")
int BPF_PROG(sync_ends, struct file *file, s64 first, s64 last, int only_data, int result)
{
    return ends((u64) file, result);
}

/* Elsewhere the two calls are told apart from all others. */
static __always_inline bool is_sync(long number)
{
    if (has_x86_calls())
        return number == X86_FSYNC || number == X86_FDATASYNC;
    return number == ARM64_FSYNC || number == ARM64_FDATASYNC;
}

SEC("?tp_btf/sys_enter")
int BPF_PROG(sync_call_begins, struct pt_regs *registers, long number)
{
    struct file *file;

    if (!is_sync(number) || in_compat_call())
        return 0;
    file = open_file(first_argument_of_call(registers));
    return file ? begins(file, 0) : 0;
}

SEC("?tp_btf/sys_exit")
int BPF_PROG(sync_call_ends, struct pt_regs *registers, long result)
{
    if (!is_sync(number_of_call(registers)))
        return 0;
    return ends(0, result);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
