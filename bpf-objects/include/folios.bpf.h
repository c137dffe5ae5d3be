/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What programs ask of pages in memory that they are given. */
#ifndef BPFTALLY_FOLIOS_BPF_H
#define BPFTALLY_FOLIOS_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* The kernel hands out a whole folio, which may be many pages, and before 5.16 a page. */
static __always_inline u64 flags_of(void *pages)
{
    struct folio___memdesc *newest = pages;
    struct page *page = pages;
    u64 flags = 0;

    if (bpf_core_field_exists(newest->flags.f))
        flags = BPF_CORE_READ(newest, flags.f);
    else if (bpf_core_field_exists(page->flags))
        flags = BPF_CORE_READ(page, flags);
    return flags;
}

static __always_inline u32 order_of(void *pages)
{
    struct folio___flags_1 *newer = pages;
    struct folio___order *new = pages;
    struct page___tail *tail;
    u64 flags = flags_of(pages);

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

static __always_inline u64 pages_of(void *pages)
{
    return 1UL << (order_of(pages) & 31);
}

static __always_inline struct address_space *mapping_of(void *pages)
{
    struct folio *folio = pages;

    if (bpf_core_field_exists(folio->mapping))
        return folio->mapping;
    return ((struct page *) pages)->mapping;
}

#endif
