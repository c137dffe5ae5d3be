/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A histogram of times that is one value of a per-CPU map:
 *
 *   struct latency *latency = latency_of(&map, &key);   the key's, made when it is missing
 *   if (latency)
 *       observe(latency, nanoseconds);
 *
 * Count, sum and slots lie side by side, so that they are found with one
 * look-up and read together; nothing that is observed is in one of them alone,
 * and the sum is as exact as the clock. In YAML:
 *
 *   bucket_type: exp2
 *   bucket_min: 10                  # the first bound: 2^10 ns
 *   bucket_multiplier: 0.000000001  # nanoseconds to seconds
 *   slots: slots
 *   sum: nanoseconds
 *   count: count
 *
 * CPUs never add to the same memory. A program that interrupts another on the
 * same entry could: give each program that can do so entries of its own.
 */
#ifndef BPFTALLY_LATENCY_BPF_H
#define BPFTALLY_LATENCY_BPF_H

#include <bpf/bpf_helpers.h>

#include "bits.bpf.h"

/* 2^36 ns is 68.7 s. What took longer is in no slot, and in `count` alone: it is `+Inf`. */
#define LATENCY_SLOTS 37

struct latency {
    __u64 count;
    __u64 nanoseconds;
    __u64 slots[LATENCY_SLOTS];
};

static const struct latency no_latency;

/* The key's histogram, made when it is missing; NULL when the map is full. */
static __always_inline struct latency *latency_of(void *map, const void *key)
{
    struct latency *latency = bpf_map_lookup_elem(map, key);

    if (!latency) {
        bpf_map_update_elem(map, key, &no_latency, BPF_NOEXIST);
        latency = bpf_map_lookup_elem(map, key);
    }
    return latency;
}

static __always_inline void observe(struct latency *latency, __u64 nanoseconds)
{
    __u64 slot = exp2_slot(nanoseconds);

    /* One register is compared and used: verifiers before Linux 5.15 do not see that two are the same. */
    barrier_var(slot);
    if (slot < LATENCY_SLOTS)
        latency->slots[slot] += 1;
    latency->count += 1;
    latency->nanoseconds += nanoseconds;
}

/* The time between two readings of the clock, on two CPUs perhaps. */
static __always_inline __u64 elapsed(__u64 since, __u64 now)
{
    return now > since ? now - since : 0;
}

#endif
