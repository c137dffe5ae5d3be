// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Reads and writes of files: how long each took for the program that made it,
 * from the page cache or from the device, and how many bytes they moved.
 */
#include "include/file_types.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/files.bpf.h"
#include "include/latency.bpf.h"

#define X86_READ 0
#define X86_WRITE 1
#define X86_PREAD64 17
#define X86_PWRITE64 18
#define ARM64_READ 63
#define ARM64_WRITE 64
#define ARM64_PREAD64 67
#define ARM64_PWRITE64 68

enum file_operation {
    FILE_READ,
    FILE_WRITE,
};

struct io_key {
    struct place place;
    enum file_operation operation;
};

/* A file system on top of another one may pass the same task's call on, for another file. */
struct call_key {
    u64 task;
    u64 file;
};

struct call {
    u64 since;
    struct io_key key;
    u32 unused;
};

struct io {
    struct latency latency;
    u64 bytes;
};

/*
 * Calls that are being served. Each ends in the task that began it; one whose
 * end was missed makes room, because the kind of map does.
 */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 16384);
    __type(key, struct call_key);
    __type(value, struct call);
} calls SEC(".maps");

/* Reads and writes of 256 file systems. 165 KiB on each CPU. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 512);
    __type(key, struct io_key);
    __type(value, struct io);
} file_io SEC(".maps");

static const struct io none;

static __always_inline struct io *io_of(const struct io_key *key)
{
    struct io *io = bpf_map_lookup_elem(&file_io, key);

    if (!io) {
        bpf_map_update_elem(&file_io, key, &none, BPF_NOEXIST);
        io = bpf_map_lookup_elem(&file_io, key);
    }
    return io;
}

static __always_inline int begins(struct file *file, u64 key_file, enum file_operation operation)
{
    struct inode___file *inode = BPF_CORE_READ(file, f_inode);
    struct call_key key = {};
    struct call call = {};

    if (!is_storage(inode))
        return 0;
    key.task = bpf_get_current_pid_tgid();
    key.file = key_file;
    call.key.place = place_of(inode);
    call.key.operation = operation;
    call.since = bpf_ktime_get_ns();
    bpf_map_update_elem(&calls, &key, &call, BPF_ANY);
    return 0;
}

static __always_inline int ends(u64 key_file, s64 result)
{
    struct call_key key = {};
    struct call *call;
    struct io *io;

    key.task = bpf_get_current_pid_tgid();
    key.file = key_file;
    call = bpf_map_lookup_elem(&calls, &key);
    if (!call)
        return 0;
    io = io_of(&call->key);
    if (io) {
        observe(&io->latency, elapsed(call->since, bpf_ktime_get_ns()));
        if (result > 0)
            io->bytes += result;
    }
    bpf_map_delete_elem(&calls, &key);
    return 0;
}

/* Where the kernel lets its functions be followed, nothing else costs anything. */
SEC("?fentry/vfs_read")
int BPF_PROG(read_begins, struct file *file)
{
    return begins(file, (u64) file, FILE_READ);
}

SEC("?fexit/vfs_read")
int BPF_PROG(read_ends, struct file *file, char *buffer, u64 count, s64 *position, s64 result)
{
    return ends((u64) file, result);
}

SEC("?fentry/vfs_write")
int BPF_PROG(write_begins, struct file *file)
{
    return begins(file, (u64) file, FILE_WRITE);
}

SEC("?fexit/vfs_write")
int BPF_PROG(write_ends, struct file *file, const char *buffer, u64 count, s64 *position, s64 result)
{
    return ends((u64) file, result);
}

/* Elsewhere four calls are told apart from all others, reads and writes each by programs of their own. */
static __always_inline bool is_call(enum file_operation operation, long number)
{
    bool x86 = has_x86_calls();

    if (operation == FILE_READ)
        return x86 ? number == X86_READ || number == X86_PREAD64
                   : number == ARM64_READ || number == ARM64_PREAD64;
    return x86 ? number == X86_WRITE || number == X86_PWRITE64
               : number == ARM64_WRITE || number == ARM64_PWRITE64;
}

static __always_inline int call_begins(struct pt_regs *registers, long number, enum file_operation operation)
{
    struct file *file;

    if (!is_call(operation, number) || in_compat_call())
        return 0;
    file = open_file(first_argument_of_call(registers));
    return file ? begins(file, 0, operation) : 0;
}

static __always_inline int call_ends(struct pt_regs *registers, long result, enum file_operation operation)
{
    return is_call(operation, number_of_call(registers)) ? ends(0, result) : 0;
}

SEC("?tp_btf/sys_enter")
int BPF_PROG(read_call_begins, struct pt_regs *registers, long number)
{
    return call_begins(registers, number, FILE_READ);
}

SEC("?tp_btf/sys_exit")
int BPF_PROG(read_call_ends, struct pt_regs *registers, long result)
{
    return call_ends(registers, result, FILE_READ);
}

SEC("?tp_btf/sys_enter")
int BPF_PROG(write_call_begins, struct pt_regs *registers, long number)
{
    return call_begins(registers, number, FILE_WRITE);
}

SEC("?tp_btf/sys_exit")
int BPF_PROG(write_call_ends, struct pt_regs *registers, long result)
{
    return call_ends(registers, result, FILE_WRITE);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
