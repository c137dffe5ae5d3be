// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A span for each call. */
#include "fallocate.bpf.h"

struct call_span {
    u64 trace_id[2];
    u64 span_id;
    u64 began;
    u64 duration;
    u32 mode;
    u32 unused;
};

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 64 * 1024);
} call_spans SEC(".maps");

const struct call_span *unused_call_span __attribute__((unused));

SEC("kprobe/vfs_fallocate")
int BPF_KPROBE(on_entry, struct file *file, int mode, u64 offset, u64 length)
{
    struct call_span *span = bpf_ringbuf_reserve(&call_spans, sizeof(*span), 0);

    if (!span)
        return 0;
    span->trace_id[0] = 7;
    span->trace_id[1] = offset;
    span->span_id = length;
    span->began = bpf_ktime_get_ns();
    span->duration = 1000 * length;
    span->mode = mode;
    span->unused = 0;
    bpf_ringbuf_submit(span, 0);
    return 0;
}
