// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Calls as events of both kinds of buffers, and as numbers in variables. Kprobes must not take the lock of
 * the limit, and before Linux 5.12 there is no atomic exchange: each CPU has a limit of its own.
 */
#define EVENT_LIMIT_PER_CPU
#include "fallocate.bpf.h"

#include "events.bpf.h"

struct call {
    u64 offset;
    u64 length;
    u32 mode;
    u32 cpu;
};

EVENT_STREAM(calls, struct call, 64 * 1024);

struct {
    __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
    __uint(key_size, sizeof(u32));
    __uint(value_size, sizeof(u32));
} samples SEC(".maps");

struct event_losses samples_losses = {};

struct totals {
    u64 calls;
    u64 bytes;
};

u64 calls_seen = 0;
struct totals totals = {};
u64 by_mode[2] = {};

SEC("kprobe/vfs_fallocate")
int BPF_KPROBE(on_entry, struct file *file, int mode, u64 offset, u64 length)
{
    struct call sample = {.offset = offset, .length = length, .mode = mode, .cpu = bpf_get_smp_processor_id()};
    struct call *event;

    __sync_fetch_and_add(&calls_seen, 1);
    __sync_fetch_and_add(&totals.calls, 1);
    __sync_fetch_and_add(&totals.bytes, length);
    __sync_fetch_and_add(&by_mode[mode & 1], 1);
    if (bpf_perf_event_output(ctx, &samples, BPF_F_CURRENT_CPU, &sample, sizeof(sample)))
        __sync_fetch_and_add(&samples_losses.ring_full, 1);
    event = reserve_event(calls, struct call, 0);
    if (event) {
        *event = sample;
        bpf_ringbuf_submit(event, 0);
    }
    return 0;
}
