/* A ring buffer, and a program that writes a thousand events to it for each call that nobody else makes. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

typedef __u32 u32;
typedef __u64 u64;

struct event {
    u32 user;
    u32 kind;
    u64 nanoseconds;
};
const struct event *unused_event __attribute__((unused));

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 32 << 20);
} events SEC(".maps");

const volatile u32 who = 0, call = 0, place = 0;
u64 written;

SEC("raw_tp/sys_enter")
int write_events(struct bpf_raw_tracepoint_args *context)
{
    u64 argument = 0;

    if (context->args[1] != call)
        return 0;
    bpf_probe_read_kernel(&argument, sizeof(argument), (void *) context->args[0] + place);
    if ((u32) argument != who)
        return 0;
    for (u32 nth = 0; nth < 1000; nth++) {
        struct event event = {nth % 61, nth % 7, nth};

        if (bpf_ringbuf_output(&events, &event, sizeof(event), BPF_RB_NO_WAKEUP))
            break;
        written++;
    }
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
