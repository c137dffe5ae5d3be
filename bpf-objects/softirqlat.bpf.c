// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Softirqs: how long they waited from the first raise, and how long they ran, by vector.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/latency.bpf.h"
#include "include/maps.bpf.h"

/* The kernel has ten vectors since 2.6.39, HI_SOFTIRQ to RCU_SOFTIRQ. */
#define VECTORS 10

/* Softirqs are raised and served on one CPU: each CPU has its own. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, VECTORS);
    __type(key, u32);
    __type(value, u64);
} raised_at SEC(".maps");

/* They are served one by one, each vector by itself. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, VECTORS);
    __type(key, u32);
    __type(value, u64);
} serving_since SEC(".maps");

/* One entry for each vector in both. Each CPU adds to memory of its own. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, VECTORS);
    __type(key, u32);
    __type(value, struct latency);
} softirq_latency_seconds SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, VECTORS);
    __type(key, u32);
    __type(value, struct latency);
} softirq_time_seconds SEC(".maps");

SEC("tp_btf/softirq_raise")
int BPF_PROG(softirq_raise, unsigned int vector)
{
    u64 *raised;

    read_array_ptr(&raised_at, &vector, raised);
    /* Raised again before it was served, it has been waiting since the first time. */
    if (!*raised)
        *raised = bpf_ktime_get_ns();
    return 0;
}

SEC("tp_btf/softirq_entry")
int BPF_PROG(softirq_entry, unsigned int vector)
{
    u64 now = bpf_ktime_get_ns(), began, *raised, *since;
    struct latency *latency;

    read_array_ptr(&serving_since, &vector, since);
    *since = now;
    read_array_ptr(&raised_at, &vector, raised);
    began = *raised;
    /* From here on a raise is one for the next time. */
    *raised = 0;
    if (!began)
        return 0;
    read_array_ptr(&softirq_latency_seconds, &vector, latency);
    observe(latency, elapsed(began, now));
    return 0;
}

SEC("tp_btf/softirq_exit")
int BPF_PROG(softirq_exit, unsigned int vector)
{
    u64 now = bpf_ktime_get_ns(), began, *since;
    struct latency *latency;

    read_array_ptr(&serving_since, &vector, since);
    began = *since;
    *since = 0;
    if (!began)
        return 0;
    read_array_ptr(&softirq_time_seconds, &vector, latency);
    observe(latency, elapsed(began, now));
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
