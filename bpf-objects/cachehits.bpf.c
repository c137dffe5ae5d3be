// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Hits of the page cache: pages that reads of files asked for, and how many of
 * them the reader had to bring in while it read.
 *
 * What comes into the page cache while a task reads is its read's doing. So a
 * page that was read ahead is a hit when it is asked for: nobody waits for it then.
 */
#include "include/file_types.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/files.bpf.h"
#include "include/folios.bpf.h"

/* Pages of the page cache are 4 KiB on every machine that these objects are for. */
#define PAGE_SHIFT 12

#define X86_READ 0
#define X86_PREAD64 17
#define ARM64_READ 63
#define ARM64_PREAD64 67

/* Flags of an open file that have another number on each architecture. */
#define X86_O_DIRECT 00040000
#define ARM64_O_DIRECT 0200000

struct reading {
    struct place place;
    u64 position;
    u64 added;
};

struct pages {
    u64 hits;
    u64 misses;
};

/*
 * The read that each task is in. It ends in the task that began it; one whose end
 * was missed makes room, because the kind of map does. 8192 read at a time.
 */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 8192);
    __type(key, u64);
    __type(value, struct reading);
} reading_now SEC(".maps");

/* File systems of a machine. Each CPU adds to memory of its own. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 256);
    __type(key, struct place);
    __type(value, struct pages);
} page_cache_reads SEC(".maps");

static const struct pages none;

static __always_inline int begins(struct file *file, u64 position)
{
    struct inode___file *inode = BPF_CORE_READ(file, f_inode);
    u64 task = bpf_get_current_pid_tgid();
    struct reading reading = {};

    /* Past the page cache, and not of a device. */
    if (BPF_CORE_READ(file, f_flags) & (has_x86_calls() ? X86_O_DIRECT : ARM64_O_DIRECT))
        return 0;
    if (!is_storage(inode))
        return 0;
    reading.place = place_of(inode);
    reading.position = position;
    bpf_map_update_elem(&reading_now, &task, &reading, BPF_ANY);
    return 0;
}

static __always_inline int ends(s64 bytes)
{
    u64 task = bpf_get_current_pid_tgid(), asked, misses;
    struct reading *reading;
    struct pages *pages;

    reading = bpf_map_lookup_elem(&reading_now, &task);
    if (!reading)
        return 0;
    if (bytes > 0) {
        asked = ((reading->position + bytes - 1) >> PAGE_SHIFT) - (reading->position >> PAGE_SHIFT) + 1;
        misses = reading->added < asked ? reading->added : asked;
        pages = bpf_map_lookup_elem(&page_cache_reads, &reading->place);
        if (!pages) {
            bpf_map_update_elem(&page_cache_reads, &reading->place, &none, BPF_NOEXIST);
            pages = bpf_map_lookup_elem(&page_cache_reads, &reading->place);
        }
        if (pages) {
            pages->hits += asked - misses;
            pages->misses += misses;
        }
    }
    bpf_map_delete_elem(&reading_now, &task);
    return 0;
}

SEC("tp_btf/mm_filemap_add_to_page_cache")
int cache_added(u64 *context)
{
    u64 task = bpf_get_current_pid_tgid();
    struct reading *reading = bpf_map_lookup_elem(&reading_now, &task);

    if (reading)
        reading->added += pages_of((void *) context[0]);
    return 0;
}

/* Where the kernel lets its functions be followed, nothing else costs anything. */
SEC("?fentry/vfs_read")
int BPF_PROG(cache_read_begins, struct file *file, char *buffer, u64 count, s64 *position)
{
    u64 at = 0;

    bpf_probe_read_kernel(&at, sizeof(at), position);
    return begins(file, at);
}

SEC("?fexit/vfs_read")
int BPF_PROG(cache_read_ends, struct file *file, char *buffer, u64 count, s64 *position, s64 result)
{
    return ends(result);
}

/* Elsewhere two calls are told apart from all others. */
static __always_inline bool is_read(long number)
{
    if (has_x86_calls())
        return number == X86_READ || number == X86_PREAD64;
    return number == ARM64_READ || number == ARM64_PREAD64;
}

SEC("?tp_btf/sys_enter")
int BPF_PROG(cache_call_begins, struct pt_regs *registers, long number)
{
    struct file *file;

    if (!is_read(number) || in_compat_call())
        return 0;
    file = open_file(first_argument_of_call(registers));
    if (!file)
        return 0;
    if (number == X86_READ || number == ARM64_READ)
        return begins(file, BPF_CORE_READ(file, f_pos));
    return begins(file, fourth_argument_of_call(registers));
}

SEC("?tp_btf/sys_exit")
int BPF_PROG(cache_call_ends, struct pt_regs *registers, long result)
{
    return is_read(number_of_call(registers)) ? ends(result) : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
