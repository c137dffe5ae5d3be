// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Time in the handlers of hardware interrupts, by interrupt and handler.
 *
 * These are the lines of /proc/interrupts that begin with a number. The others
 * (timers of CPUs, calls between CPUs) have no handlers of devices.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/latency.bpf.h"
#include "include/maps.bpf.h"

/* The zero at the end is in it: what is longer is cut. */
#define NAME_LENGTH 32

struct handler_key {
    u32 irq;
    char name[NAME_LENGTH];
};

/* Handlers run with interrupts off: one at a time on each CPU. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, u64);
} handling_since SEC(".maps");

/*
 * Network cards and NVMe disks have an interrupt for each CPU: 1024 is three
 * such devices on 256 CPUs, and the rest. Each CPU adds to memory of its own
 * (a third of a MiB).
 */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 1024);
    __type(key, struct handler_key);
    __type(value, struct latency);
} hardirq_time_seconds SEC(".maps");

SEC("tp_btf/irq_handler_entry")
int BPF_PROG(irq_handler_entry, int irq, struct irqaction *action)
{
    u32 zero = 0;
    u64 *since;

    read_array_ptr(&handling_since, &zero, since);
    *since = bpf_ktime_get_ns();
    return 0;
}

SEC("tp_btf/irq_handler_exit")
int BPF_PROG(irq_handler_exit, int irq, struct irqaction *action, int result)
{
    u64 now = bpf_ktime_get_ns(), began, *since;
    struct handler_key key = {};
    struct latency *latency;
    u32 zero = 0;

    read_array_ptr(&handling_since, &zero, since);
    began = *since;
    *since = 0;
    if (!began)
        return 0;
    key.irq = irq;
    bpf_probe_read_kernel_str(key.name, sizeof(key.name), action->name);
    latency = latency_of(&hardirq_time_seconds, &key);
    if (latency)
        observe(latency, elapsed(began, now));
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
