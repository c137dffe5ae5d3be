// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Swap: pages that were handed to it, by who had to make room, and how long
 * faults waited for pages that they wanted back, by who waited.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/folios.bpf.h"
#include "include/latency.bpf.h"
#include "include/maps.bpf.h"
#include "include/registers.bpf.h"
#include "include/tasks.bpf.h"

/* What a handler of faults answers where it had to read. */
#define VM_FAULT_MAJOR 0x4

enum by {
    TASK,
    DAEMON,
    WHO,
};

/* One entry for each kind. Each CPU adds to memory of its own. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, WHO);
    __type(key, u32);
    __type(value, u64);
} swap_out_pages_total SEC(".maps");

/*
 * When each task began to look for a page in swap. Begin and end are of one
 * function of the kernel, through which a killed task goes, too. The size
 * bounds tasks that do so at one time; above it one is not measured.
 */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8192);
    __type(key, u32);
    __type(value, u64);
} faulting_since SEC(".maps");

/*
 * By id of the control group (v2), as many as have something in swap: those of a full
 * node and its services. 160 KiB on each CPU. Those that are gone make room once they
 * expire, see the YAML.
 */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 512);
    __type(key, u64);
    __type(value, struct latency);
} swap_in_latency_seconds SEC(".maps");

/* Reclaim writes pages of files, too; those that lie in swap have none. */
static __always_inline int written(void *pages)
{
    struct task_struct *task = (void *) bpf_get_current_task();
    u64 *count;
    u32 by;

    if (!(flags_of(pages) & (1UL << bpf_core_enum_value(enum pageflags, PG_swapbacked))))
        return 0;
    /* kswapd, one of each node: nobody waits for it. */
    by = BPF_CORE_READ(task, flags) & PF_KTHREAD ? DAEMON : TASK;
    read_array_ptr(&swap_out_pages_total, &by, count);
    *count += pages_of(pages);
    return 0;
}

/* Since Linux 5.18. */
SEC("?tp_btf/mm_vmscan_write_folio")
int folio_written(u64 *context)
{
    return written((void *) context[0]);
}

SEC("?tp_btf/mm_vmscan_writepage")
int page_written(u64 *context)
{
    return written((void *) context[0]);
}

static __always_inline int begins(void)
{
    u32 pid = bpf_get_current_pid_tgid();
    u64 now = bpf_ktime_get_ns();

    bpf_map_update_elem(&faulting_since, &pid, &now, BPF_ANY);
    return 0;
}

/* What was still in memory, or is being read for another task already, is no major fault. */
static __always_inline int ends(u32 answer)
{
    u64 now = bpf_ktime_get_ns(), *since, cgroup;
    u32 pid = bpf_get_current_pid_tgid();
    struct latency *latency;

    since = bpf_map_lookup_elem(&faulting_since, &pid);
    if (!since)
        return 0;
    if (answer & VM_FAULT_MAJOR) {
        cgroup = bpf_get_current_cgroup_id();
        latency = latency_of(&swap_in_latency_seconds, &cgroup);
        if (latency)
            observe(latency, elapsed(*since, now));
    }
    bpf_map_delete_elem(&faulting_since, &pid);
    return 0;
}

SEC("?fentry/do_swap_page")
int BPF_PROG(swap_in_entry, void *fault)
{
    return begins();
}

SEC("?fexit/do_swap_page")
int BPF_PROG(swap_in_exit, void *fault, u32 answer)
{
    return ends(answer);
}

SEC("?kprobe/do_swap_page")
int swap_in_probe(struct pt_regs *regs)
{
    return begins();
}

SEC("?kretprobe/do_swap_page")
int swap_in_return(struct pt_regs *regs)
{
    return ends(function_result(regs));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
