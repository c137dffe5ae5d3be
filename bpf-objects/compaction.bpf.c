// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Memory compaction: how long it took to move pages together in a zone, by who did it.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/latency.bpf.h"
#include "include/maps.bpf.h"
#include "include/tasks.bpf.h"

enum by {
    TASK,
    DAEMON,
    WHO,
};

/*
 * When each task began to compact a zone. Begin and end are in one function of
 * the kernel, through which a killed task goes, too. The size bounds tasks that
 * compact at one time; above it one is not measured.
 */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, u32);
    __type(value, u64);
} compacting_since SEC(".maps");

/* One entry for each kind. Each CPU adds to memory of its own. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, WHO);
    __type(key, u32);
    __type(value, struct latency);
} compaction_latency_seconds SEC(".maps");

SEC("tp_btf/mm_compaction_begin")
int compaction_begin(u64 *context)
{
    u32 pid = bpf_get_current_pid_tgid();
    u64 now = bpf_ktime_get_ns();

    bpf_map_update_elem(&compacting_since, &pid, &now, BPF_ANY);
    return 0;
}

SEC("tp_btf/mm_compaction_end")
int compaction_end(u64 *context)
{
    struct task_struct *task = (void *) bpf_get_current_task();
    u32 pid = bpf_get_current_pid_tgid(), by;
    u64 now = bpf_ktime_get_ns(), *began;
    struct latency *latency;

    began = bpf_map_lookup_elem(&compacting_since, &pid);
    if (!began)
        return 0;
    /* kcompactd, one of each node: nobody waits for it. */
    by = BPF_CORE_READ(task, flags) & PF_KTHREAD ? DAEMON : TASK;
    read_array_ptr(&compaction_latency_seconds, &by, latency);
    observe(latency, elapsed(*began, now));
    bpf_map_delete_elem(&compacting_since, &pid);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
