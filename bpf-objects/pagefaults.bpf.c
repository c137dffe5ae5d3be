// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Page faults, minor and major, by control group of the task that had them.
 *
 * The kernel counts a fault here when it is served, once however often it was
 * tried, and says itself which kind it was: major when somebody had to wait
 * for a disk. An exception (a bad address) is none.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct faults {
    u64 minor;
    u64 major;
};

/*
 * By id of the control group (v2). 2048 are all containers of a full node and
 * its services, twice. Each CPU adds to memory of its own. Those that are gone
 * make room once they expire, see the YAML: an LRU map would drop entries
 * early, because each CPU keeps free ones back.
 */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 2048);
    __type(key, u64);
    __type(value, struct faults);
} page_faults SEC(".maps");

static const struct faults none;

static __always_inline struct faults *of_current(void)
{
    u64 cgroup = bpf_get_current_cgroup_id();
    struct faults *faults = bpf_map_lookup_elem(&page_faults, &cgroup);

    if (!faults) {
        bpf_map_update_elem(&page_faults, &cgroup, &none, BPF_NOEXIST);
        faults = bpf_map_lookup_elem(&page_faults, &cgroup);
    }
    return faults;
}

/* PERF_COUNT_SW_PAGE_FAULTS_MIN of PERF_TYPE_SOFTWARE, each one. */
SEC("perf_event/type=1,config=5,period=1")
int minor_fault(void *context)
{
    struct faults *faults = of_current();

    if (faults)
        faults->minor += 1;
    return 0;
}

/* PERF_COUNT_SW_PAGE_FAULTS_MAJ. */
SEC("perf_event/type=1,config=6,period=1")
int major_fault(void *context)
{
    struct faults *faults = of_current();

    if (faults)
        faults->major += 1;
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
