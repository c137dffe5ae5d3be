// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * CFS throttling: how long run queues of control groups stood still because
 * their quota (cpu.max) was used up.
 *
 * A group has a run queue on each CPU, each of which is throttled by itself:
 * their times add up, as in throttled_usec of the group's cpu.stat. The begin
 * is the kernel's own note in the run queue, and the end its run queue clock.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <bpf/bpf_core_read.h>

#include "include/latency.bpf.h"
#include "include/maps.bpf.h"
#include "include/registers.bpf.h"

struct throttling {
    struct cfs_rq *cfs_rq;
    u64 since;
};

/* Run queues are unthrottled under their lock, with interrupts off: one at a time on each CPU. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct throttling);
} ending SEC(".maps");

/*
 * By id of the control group (v2). 1024 are all containers of a full node and
 * its services. Those that are gone make room once they expire, see the YAML:
 * an LRU map would drop entries early, because each CPU keeps free ones back.
 */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 1024);
    __type(key, u64);
    __type(value, struct latency);
} cgroup_cfs_throttled_time_seconds SEC(".maps");

static __always_inline int ends(struct cfs_rq *cfs_rq)
{
    struct throttling *throttling;
    u32 zero = 0;

    read_array_ptr(&ending, &zero, throttling);
    throttling->cfs_rq = cfs_rq;
    throttling->since = BPF_CORE_READ(cfs_rq, throttled_clock);
    return 0;
}

static __always_inline int ended(void)
{
    struct throttling *throttling;
    struct latency *latency;
    struct cfs_rq *cfs_rq;
    u64 cgroup, now;
    u32 zero = 0;

    read_array_ptr(&ending, &zero, throttling);
    cfs_rq = throttling->cfs_rq;
    throttling->cfs_rq = NULL;
    /* Since Linux 5.14 the clock is read at the first task that is held back, and 0 where none was. */
    if (!cfs_rq || !throttling->since)
        return 0;
    now = BPF_CORE_READ(cfs_rq, rq, clock);
    cgroup = BPF_CORE_READ(cfs_rq, tg, css.cgroup, kn, id);
    latency = latency_of(&cgroup_cfs_throttled_time_seconds, &cgroup);
    if (latency)
        observe(latency, elapsed(throttling->since, now));
    return 0;
}

SEC("?fentry/unthrottle_cfs_rq")
int BPF_PROG(unthrottle_entry, struct cfs_rq *cfs_rq)
{
    return ends(cfs_rq);
}

SEC("?fexit/unthrottle_cfs_rq")
int BPF_PROG(unthrottle_exit, struct cfs_rq *cfs_rq)
{
    return ended();
}

SEC("?kprobe/unthrottle_cfs_rq")
int unthrottle_probe(struct pt_regs *regs)
{
    return ends((struct cfs_rq *) function_argument(regs));
}

SEC("?kretprobe/unthrottle_cfs_rq")
int unthrottle_return(struct pt_regs *regs)
{
    return ended();
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
