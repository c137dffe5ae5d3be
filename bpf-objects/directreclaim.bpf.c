// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Direct reclaim: how long tasks that wanted memory had to free some first, for
 * want of it on the machine or because their control group was at its limit.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/latency.bpf.h"
#include "include/maps.bpf.h"

enum scope {
    MACHINE,
    CGROUP,
    SCOPES,
};

struct stalls {
    u64 count;
    u64 nanoseconds;
    u64 pages;
};

struct stall_key {
    u64 cgroup;
    u32 scope;
    u32 unused;
};

/*
 * When each task began to reclaim. Begin and end are in one function of the
 * kernel, through which a killed task goes, too; so that an entry ends with its
 * stall. The size bounds stalls at one time; above it one is not measured.
 */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8192);
    __type(key, u32);
    __type(value, u64);
} reclaiming_since SEC(".maps");

/* One entry for each scope. Each CPU adds to memory of its own. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, SCOPES);
    __type(key, u32);
    __type(value, struct latency);
} direct_reclaim_latency_seconds SEC(".maps");

/*
 * By id of the control group (v2) of the task that had to wait. Both scopes of
 * 1024 groups. Those that are gone make room once they expire, see the YAML.
 */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 2048);
    __type(key, struct stall_key);
    __type(value, struct stalls);
} cgroup_direct_reclaim SEC(".maps");

static const struct stalls none;

static __always_inline u32 current_pid(void)
{
    return bpf_get_current_pid_tgid();
}

static __always_inline int begin(void)
{
    u32 pid = current_pid();
    u64 now = bpf_ktime_get_ns();

    bpf_map_update_elem(&reclaiming_since, &pid, &now, BPF_ANY);
    return 0;
}

static __always_inline int end(u32 scope, u64 pages)
{
    u64 now = bpf_ktime_get_ns(), took, *began;
    struct stall_key key = {};
    struct latency *latency;
    struct stalls *stalls;
    u32 pid = current_pid();

    began = bpf_map_lookup_elem(&reclaiming_since, &pid);
    if (!began)
        return 0;
    took = elapsed(*began, now);
    bpf_map_delete_elem(&reclaiming_since, &pid);
    read_array_ptr(&direct_reclaim_latency_seconds, &scope, latency);
    observe(latency, took);

    key.cgroup = bpf_get_current_cgroup_id();
    key.scope = scope;
    stalls = bpf_map_lookup_elem(&cgroup_direct_reclaim, &key);
    if (!stalls) {
        bpf_map_update_elem(&cgroup_direct_reclaim, &key, &none, BPF_NOEXIST);
        stalls = bpf_map_lookup_elem(&cgroup_direct_reclaim, &key);
        if (!stalls)
            return 0;
    }
    stalls->count += 1;
    stalls->nanoseconds += took;
    stalls->pages += pages;
    return 0;
}

SEC("tp_btf/mm_vmscan_direct_reclaim_begin")
int machine_begin(u64 *context)
{
    return begin();
}

SEC("tp_btf/mm_vmscan_direct_reclaim_end")
int machine_end(u64 *context)
{
    return end(MACHINE, context[0]);
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_begin")
int cgroup_begin(u64 *context)
{
    return begin();
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_end")
int cgroup_end(u64 *context)
{
    return end(CGROUP, context[0]);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
