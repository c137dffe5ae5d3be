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
    __type(key, u64);
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

static __always_inline int begins(struct file *file)
{
    u64 task = bpf_get_current_pid_tgid();
    struct sync sync = {};

    sync.place = place_of(BPF_CORE_READ(file, f_inode));
    sync.since = bpf_ktime_get_ns();
    bpf_map_update_elem(&syncing, &task, &sync, BPF_ANY);
    return 0;
}

static __always_inline int ends(s32 result)
{
    struct error_key error_key = {};
    struct latency *latency;
    u64 task = bpf_get_current_pid_tgid();
    struct sync *sync;

    sync = bpf_map_lookup_elem(&syncing, &task);
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
    bpf_map_delete_elem(&syncing, &task);
    return 0;
}

/*
 * Where the kernel lets its functions be followed, nothing else costs anything. It is the calls
 * themselves that are followed: compilers copy what they have in common, vfs_fsync_range(), into
 * some of its callers, and then nothing there comes by.
 */
#define CALL(name, function)                                                    \
    SEC("?fentry/" function)                                                    \
    int BPF_PROG(name##_begins, struct pt_regs *registers)                      \
    {                                                                           \
        struct file *file = open_file(first_argument_of_call(registers));       \
                                                                                \
        return file ? begins(file) : 0;                                         \
    }                                                                           \
                                                                                \
    SEC("?fexit/" function)                                                     \
    int BPF_PROG(name##_ends, struct pt_regs *registers, long result)           \
    {                                                                           \
        return ends(result);                                                    \
    }

CALL(fsync_x86, "__x64_sys_fsync")
CALL(fdatasync_x86, "__x64_sys_fdatasync")
CALL(fsync_arm64, "__arm64_sys_fsync")
CALL(fdatasync_arm64, "__arm64_sys_fdatasync")

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
    return file ? begins(file) : 0;
}

SEC("?tp_btf/sys_exit")
int BPF_PROG(sync_call_ends, struct pt_regs *registers, long result)
{
    if (!is_sync(number_of_call(registers)))
        return 0;
    return ends(result);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
