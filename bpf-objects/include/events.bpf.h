/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Streams of events in which nothing is lost without a number.
 *
 *   EVENT_STREAM(queries, struct query, 256 * 1024)
 *       a ring buffer `queries` of 256 KiB, and what belongs to it:
 *       `queries_settings`   .rate, .burst and .sample, for `globals:` in YAML
 *       `queries_losses`     what was not delivered, by reason
 *
 *   struct query *event = reserve_event(queries, struct query, is_error);
 *   if (event) {
 *       event->... = ...;                 every byte: the memory is not cleared
 *       bpf_ringbuf_submit(event, 0);     or bpf_ringbuf_discard(event, 0)
 *   }
 *
 *   event_lost(queries, map_full)         counts one that your own code had to leave out
 *
 * An event goes through three gates, and is counted where it is stopped:
 *
 *   sampled_out    `.sample` N keeps one of N; 0 and 1 keep all. Of each N in a row on a CPU one is
 *                  drawn, so that the share is exact and no rhythm of the traffic is met. An error
 *                  (the last argument) is always kept.
 *   rate_limited   `.rate` is events a second of the whole host, 0 is no limit. What was not used is
 *                  saved up to `.burst` events, 0 for those of one second. It starts with all of them.
 *   ring_full      the exporter did not keep up.
 *
 * So of all that were offered, reserve_event gives as many as it does not count, exactly. Sampling comes
 * first: a limit before it would cut the busy seconds alone, and the share would be none.
 *
 * The limit is one for all CPUs, whose state has a lock. The kernel takes that in programs of networking
 * (cgroup_skb, tc, xdp, ...), tp_btf, fentry, fexit and lsm, from the first kernel with ring buffers on.
 * kprobes, tracepoints, raw tracepoints and perf events must not take locks. Define before the include
 *
 *   EVENT_LIMIT_ATOMIC    for them: the limit is as exact, and the object takes Linux 5.12. Before
 *                         that the verifier refuses the instruction, even where it is never reached.
 *   EVENT_LIMIT_PER_CPU   for them before 5.12: each CPU has `.rate` / `.cpus` for itself, and cannot use
 *                         what others leave. With all events on one of N CPUs 1/N of the rate is given.
 *                         `.cpus` is yours to set; 0 is 1, and gives each CPU the whole rate.
 *
 * Include your types first: vmlinux.h, or kernel_types.bpf.h beside this file.
 */
#ifndef BPFTALLY_EVENTS_BPF_H
#define BPFTALLY_EVENTS_BPF_H

#include <bpf/bpf_helpers.h>

/* What was not delivered. The exporter knows it by this name, and publishes each member as a reason. */
struct event_losses {
    __u64 ring_full;
    __u64 rate_limited;
    __u64 sampled_out;
    __u64 map_full;
};

/* Set by `globals:`, as in {queries_settings: {rate: 1000, sample: 10}}. */
struct event_settings {
    __u64 rate;
    __u64 burst;
    __u32 sample;
    __u32 cpus;
};

/* Where in its N events a CPU is, and which of them is drawn. */
struct event_sampler {
    __u32 position;
    __u32 drawn;
};

/*
 * The limiter is a time: the one at which all events so far are paid for, each with 1 / rate seconds.
 * It may lie ahead of now by as much as the burst is worth. One that lies behind is worth no more than
 * now, so that 0 is a full bucket. In 1/64 ns, nothing is left over when the rate does not divide 1 s.
 */
struct event_bucket {
#if !defined(EVENT_LIMIT_ATOMIC) && !defined(EVENT_LIMIT_PER_CPU)
    struct bpf_spin_lock lock;
#endif
    __u64 paid_until;
};

#define EVENT_SECOND (1000000000ULL << 6)
/* Above this the burst in 1/64 ns would not fit: 2^27 events at one a second. */
#define EVENT_MAX_BURST (1ULL << 27)

#ifdef EVENT_LIMIT_PER_CPU
#define EVENT_BUCKETS BPF_MAP_TYPE_PERCPU_ARRAY
#else
#define EVENT_BUCKETS BPF_MAP_TYPE_ARRAY
#endif

#define EVENT_ONE(kind, type_of_value, name) \
    struct {                                 \
        __uint(type, kind);                  \
        __uint(max_entries, 1);              \
        __type(key, __u32);                  \
        __type(value, type_of_value);        \
    } name SEC(".maps")

/* The pointer is there for its type alone: by it the exporter knows the members of an event. */
#define EVENT_STREAM(stream, event_type, bytes)                                         \
    struct {                                                                            \
        __uint(type, BPF_MAP_TYPE_RINGBUF);                                             \
        __uint(max_entries, bytes);                                                     \
    } stream SEC(".maps");                                                              \
    EVENT_ONE(BPF_MAP_TYPE_PERCPU_ARRAY, struct event_losses, stream##_losses);         \
    EVENT_ONE(BPF_MAP_TYPE_PERCPU_ARRAY, struct event_sampler, stream##_sampler);       \
    EVENT_ONE(EVENT_BUCKETS, struct event_bucket, stream##_bucket);                     \
    const volatile struct event_settings stream##_settings = {};                        \
    event_type *stream##_event

/* Atomically although each CPU has its own: a program of networking may be interrupted by itself. */
#define event_lost(stream, reason)                                                           \
    do {                                                                                     \
        __u32 event_zero = 0;                                                                \
        struct event_losses *losses = bpf_map_lookup_elem(&stream##_losses, &event_zero);    \
        if (losses)                                                                          \
            __sync_fetch_and_add(&losses->reason, 1);                                        \
    } while (0)

static __always_inline _Bool event_drawn(void *samplers, __u32 sample)
{
    __u32 zero = 0, position;
    struct event_sampler *sampler;

    if (sample < 2)
        return 1;
    sampler = bpf_map_lookup_elem(samplers, &zero);
    if (!sampler)
        return 1;
    position = sampler->position;
    if (position == 0)
        sampler->drawn = bpf_get_prandom_u32() % sample;
    sampler->position = position + 1 < sample ? position + 1 : 0;
    return position == sampler->drawn;
}

/* Until when one more event is paid for; 0 when that is too far ahead. */
static __always_inline __u64 event_paid(__u64 paid_until, __u64 now, __u64 each, __u64 ahead)
{
    __u64 from = paid_until > now ? paid_until : now;

    return from - now + each <= ahead ? from + each : 0;
}

static __always_inline _Bool event_admitted(void *buckets, __u64 rate, __u64 burst, __u32 cpus)
{
    __u32 zero = 0;
    __u64 now, each, ahead, paid;
    struct event_bucket *bucket;

    if (!rate)
        return 1;
    bucket = bpf_map_lookup_elem(buckets, &zero);
    if (!bucket)
        return 1;
    now = bpf_ktime_get_ns() << 6;
    each = EVENT_SECOND / rate;
    if (burst > EVENT_MAX_BURST)
        burst = EVENT_MAX_BURST;
    ahead = burst ? burst * each : EVENT_SECOND;
#if defined(EVENT_LIMIT_PER_CPU)
    each *= cpus ? cpus : 1;
    paid = event_paid(bucket->paid_until, now, each, ahead < each ? each : ahead);
    if (paid)
        bucket->paid_until = paid;
    return paid != 0;
#elif defined(EVENT_LIMIT_ATOMIC)
    /* Who is overtaken by another CPU tries again; eight times in a row is as good as a refusal. */
    for (int i = 0; i < 8; i++) {
        __u64 before = *(volatile __u64 *) &bucket->paid_until;

        paid = event_paid(before, now, each, ahead);
        if (!paid)
            return 0;
        if (__sync_val_compare_and_swap(&bucket->paid_until, before, paid) == before)
            return 1;
    }
    return 0;
#else
    bpf_spin_lock(&bucket->lock);
    paid = event_paid(bucket->paid_until, now, each, ahead);
    if (paid)
        bucket->paid_until = paid;
    bpf_spin_unlock(&bucket->lock);
    return paid != 0;
#endif
}

/* Room for an event, or NULL, and then it is counted why. `is_error` is for those that are never sampled out. */
#define reserve_event(stream, event_type, is_error)                                                   \
    ({                                                                                                \
        event_type *event_reserved = NULL;                                                            \
        if (!(is_error) && !event_drawn(&stream##_sampler, stream##_settings.sample)) {               \
            event_lost(stream, sampled_out);                                                          \
        } else if (!event_admitted(&stream##_bucket, stream##_settings.rate, stream##_settings.burst, \
                                   stream##_settings.cpus)) {                                         \
            event_lost(stream, rate_limited);                                                         \
        } else {                                                                                      \
            event_reserved = bpf_ringbuf_reserve(&stream, sizeof(event_type), 0);                     \
            if (!event_reserved)                                                                      \
                event_lost(stream, ring_full);                                                        \
        }                                                                                             \
        event_reserved;                                                                               \
    })

#endif
