/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reporting spans, for your objects: `tracing:` in a config sends them to an
 * OpenTelemetry collector (docs/tracing.md).
 *
 *   struct request_span {
 *       SPAN_MEMBERS
 *       char comm[16];                an attribute, or several
 *   };
 *   SPANS(request_spans, struct request_span, 256 * 1024);
 *
 *   struct request_span *span = bpf_ringbuf_reserve(&request_spans, sizeof(*span), 0);
 *   if (span) {
 *       begin_trace(&span->base, began);
 *       bpf_get_current_comm(span->comm, sizeof(span->comm));
 *       bpf_ringbuf_submit(span, 0);
 *   }
 *
 * A config names the members: `type: request_span`, `labels: [trace_id, comm]`.
 * Their layout is the one that ebpf_exporter's examples report, so that a
 * config with sizes reads these records, too.
 *
 * Include your types first: vmlinux.h, or kernel_types.bpf.h beside this file.
 */
#ifndef BPFTALLY_SPANS_BPF_H
#define BPFTALLY_SPANS_BPF_H

#include <bpf/bpf_helpers.h>

struct span_base {
    /* As bytes, in the order in which they are printed. All zero is no trace. */
    __u8 trace_id[16];
    /* Zero is none. */
    __u8 parent_span_id[8];
    /* Zero is one that the exporter makes up. */
    __u8 span_id[8];
    /* By bpf_ktime_get_ns. */
    __u64 span_monotonic_timestamp_ns;
    __u64 span_duration_ns;
};

/* The members of a struct span_base, as one and each by its own name. */
#define SPAN_MEMBERS                           \
    union {                                    \
        struct span_base base;                 \
        struct {                               \
            __u8 trace_id[16];                 \
            __u8 parent_span_id[8];            \
            __u8 span_id[8];                   \
            __u64 span_monotonic_timestamp_ns; \
            __u64 span_duration_ns;            \
        };                                     \
    };

/*
 * A ring buffer for such records; BYTES is a power of two, a page or more. The
 * pointer makes clang describe the struct, which only local variables have.
 */
#define SPANS(NAME, STRUCT, BYTES)          \
    struct {                                \
        __uint(type, BPF_MAP_TYPE_RINGBUF); \
        __uint(max_entries, BYTES);         \
    } NAME SEC(".maps");                    \
    const STRUCT *NAME##_struct __attribute__((unused))

static __always_inline void random_id(__u8 *id, int size)
{
    for (int at = 0; at < size; at += 4)
        *(__u32 *) (id + at) = bpf_get_prandom_u32();
}

/* A span that began then, ends now, and is the first of a trace. */
static __always_inline void begin_trace(struct span_base *span, __u64 began)
{
    __builtin_memset(span, 0, sizeof(*span));
    random_id(span->trace_id, sizeof(span->trace_id));
    random_id(span->span_id, sizeof(span->span_id));
    span->span_monotonic_timestamp_ns = began;
    span->span_duration_ns = bpf_ktime_get_ns() - began;
}

/* A span that began then, ends now, and is a part of another one. */
static __always_inline void begin_child(struct span_base *span, const struct span_base *parent, __u64 began)
{
    begin_trace(span, began);
    __builtin_memcpy(span->trace_id, parent->trace_id, sizeof(span->trace_id));
    __builtin_memcpy(span->parent_span_id, parent->span_id, sizeof(span->parent_span_id));
}

#endif
