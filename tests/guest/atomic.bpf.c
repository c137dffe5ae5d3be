// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One limit for all CPUs without a lock, which takes Linux 5.12. */
#define EVENT_LIMIT_ATOMIC
#include "fallocate.bpf.h"

#include "events.bpf.h"

struct call {
    u64 length;
};

EVENT_STREAM(calls, struct call, 64 * 1024);

SEC("kprobe/vfs_fallocate")
int BPF_KPROBE(on_entry, struct file *file, int mode, u64 offset, u64 length)
{
    struct call *event = reserve_event(calls, struct call, 0);

    if (event) {
        event->length = length;
        bpf_ringbuf_submit(event, 0);
    }
    return 0;
}
