// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The page cache: pages of files that came in (a read that missed, read-ahead, a
 * write to a new page) and that went out, by device.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <bpf/bpf_core_read.h>

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

/* As user space encodes device numbers, which is what majorminor decodes. */
static __always_inline u32 device_of(struct inode *inode)
{
    /* Pages of a disk itself belong to a file system of the kernel's own that has all disks. */
    u32 device = (inode->i_mode & S_IFMT) == S_IFBLK ? inode->i_rdev : inode->i_sb->s_dev;
    u32 major = device >> 20, minor = device & 0xfffff;

    return (minor & 0xff) | (major << 8) | ((minor & ~0xffU) << 12);
}

/* The kernel hands out a whole folio, which may be many pages, and before 5.16 a page. */
static __always_inline u32 order_of(void *pages)
{
    struct folio___memdesc *newest = pages;
    struct folio___flags_1 *newer = pages;
    struct folio___order *new = pages;
    struct page *page = pages;
    struct page___tail *tail;
    u64 flags = 0;

    if (bpf_core_field_exists(newest->flags.f))
        flags = BPF_CORE_READ(newest, flags.f);
    else if (bpf_core_field_exists(page->flags))
        flags = BPF_CORE_READ(page, flags);
    if (!(flags & (1UL << bpf_core_enum_value(enum pageflags, PG_head))))
        return 0;
    if (bpf_core_field_exists(newer->_flags_1))
        return BPF_CORE_READ(newer, _flags_1) & 0xff;
    if (bpf_core_field_exists(new->_folio_order))
        return BPF_CORE_READ(new, _folio_order);
    tail = pages + bpf_core_type_size(struct page);
    if (bpf_core_field_exists(tail->compound_order))
        return BPF_CORE_READ(tail, compound_order);
    return 0;
}

static __always_inline struct address_space *mapping_of(void *pages)
{
    struct folio *folio = pages;

    if (bpf_core_field_exists(folio->mapping))
        return folio->mapping;
    return ((struct page *) pages)->mapping;
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
        counts->added += 1UL << (order_of((void *) context[0]) & 31);
    return 0;
}

SEC("tp_btf/mm_filemap_delete_from_page_cache")
int page_cache_delete(u64 *context)
{
    struct pages *counts = counts_of((void *) context[0]);

    if (counts)
        counts->removed += 1UL << (order_of((void *) context[0]) & 31);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
