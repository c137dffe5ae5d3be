// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The page cache: pages of files that came in (a read that missed, read-ahead, a
 * write to a new page) and that went out, by device.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/devices.bpf.h"
#include "include/folios.bpf.h"
#include "include/maps.bpf.h"

#define S_IFMT 00170000
#define S_IFBLK 0060000

struct pages {
    u64 added;
    u64 removed;
};

/* File systems and disks of a machine. Each CPU adds to memory of its own. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 1024);
    __type(key, u32);
    __type(value, struct pages);
} page_cache SEC(".maps");

static const struct pages none;

static __always_inline u32 device_of(struct inode *inode)
{
    /* Pages of a disk itself belong to a file system of the kernel's own that has all disks. */
    return user_device_of((inode->i_mode & S_IFMT) == S_IFBLK ? inode->i_rdev : inode->i_sb->s_dev);
}

static __always_inline struct pages *counts_of(void *pages)
{
    u32 device = device_of(mapping_of(pages)->host);
    struct pages *counts = bpf_map_lookup_elem(&page_cache, &device);

    if (!counts) {
        bpf_map_update_elem(&page_cache, &device, &none, BPF_NOEXIST);
        counts = bpf_map_lookup_elem(&page_cache, &device);
    }
    return counts;
}

SEC("tp_btf/mm_filemap_add_to_page_cache")
int page_cache_add(u64 *context)
{
    struct pages *counts = counts_of((void *) context[0]);

    if (counts)
        counts->added += pages_of((void *) context[0]);
    return 0;
}

SEC("tp_btf/mm_filemap_delete_from_page_cache")
int page_cache_delete(u64 *context)
{
    struct pages *counts = counts_of((void *) context[0]);

    if (counts)
        counts->removed += pages_of((void *) context[0]);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
