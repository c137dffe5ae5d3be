// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Writeback: how long the kernel took to write the dirty pages of files to their
 * device, how many pages, and how often programs that wrote had to pause for it.
 */
#include "include/file_types.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/files.bpf.h"
#include "include/latency.bpf.h"
#include "include/maps.bpf.h"

struct written {
    struct latency latency;
    u64 pages;
};

/* One file at a time in each task that writes back; one whose end was missed is replaced by the task's next. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 4096);
    __type(key, u32);
    __type(value, u64);
} writing_since SEC(".maps");

/* File systems of a machine. 80 KiB on each CPU. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 256);
    __type(key, u32);
    __type(value, struct written);
} writeback SEC(".maps");

/* Control groups that write; those that do no more make room. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
    __uint(max_entries, 2048);
    __type(key, u64);
    __type(value, u64);
} writeback_throttles_total SEC(".maps");

static const struct written none;

static __always_inline struct written *written_of(u32 device)
{
    struct written *written = bpf_map_lookup_elem(&writeback, &device);

    if (!written) {
        bpf_map_update_elem(&writeback, &device, &none, BPF_NOEXIST);
        written = bpf_map_lookup_elem(&writeback, &device);
    }
    return written;
}

SEC("tp_btf/writeback_single_inode_start")
int BPF_PROG(writeback_begins, struct inode___file *inode)
{
    u32 task = bpf_get_current_pid_tgid();
    u64 now = bpf_ktime_get_ns();

    bpf_map_update_elem(&writing_since, &task, &now, BPF_ANY);
    return 0;
}

SEC("tp_btf/writeback_single_inode")
int BPF_PROG(writeback_ends, struct inode___file *inode, struct writeback_control *control, unsigned long pages)
{
    u32 task = bpf_get_current_pid_tgid();
    u64 *since = bpf_map_lookup_elem(&writing_since, &task);
    struct written *written;
    s64 left;

    if (!since)
        return 0;
    written = written_of(place_of(inode).device);
    if (written) {
        /* What is asked for goes down as pages are written, by more than it was when a folio is large. */
        left = control->nr_to_write;
        written->pages += pages - left;
        observe(&written->latency, elapsed(*since, bpf_ktime_get_ns()));
    }
    bpf_map_delete_elem(&writing_since, &task);
    return 0;
}

/* The current task is the one that has to pause: it wrote faster than its device does. */
static __always_inline int throttled(s64 pause)
{
    u64 cgroup = bpf_get_current_cgroup_id();

    if (pause > 0)
        increment_map_nosync(&writeback_throttles_total, &cgroup, 1);
    return 0;
}

SEC("tp_btf/balance_dirty_pages")
int balance_dirty_pages(u64 *context)
{
    struct trace_event_raw_balance_dirty_pages *event = NULL;

    if (bpf_core_field_exists(event->wb_setpoint))
        return throttled(context[6]);
    return throttled(context[10]);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
