/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counting into maps, for these objects and for yours.
 *
 *   increment_map(&map, &key, n)                   adds n to the key's value
 *   increment_exp2_histogram(&map, key, v, max)    counts v in slot ceil(log2(v))
 *   increment_exp2zero_histogram(&map, key, v, max)   zeros have slot 0, others ceil(log2(v)) + 1
 *
 * A histogram's `key` is a struct, named and not pointed to, with an integer
 * member `bucket`; its other members are labels. Slots above `max` count in
 * `max`; the sum of all values is kept in slot `max + 1`. A map needs therefore
 * `max + 2` entries for each set of labels: with one less the sum has no place.
 * In YAML such a histogram is `bucket_type: exp2` (or `exp2zero`),
 * `bucket_min: 0`, `bucket_max: max`.
 *
 * Plain names add atomically: for maps that all CPUs share. Names with `_nosync`
 * add plainly: for per-CPU maps, and only where a program on the same map
 * cannot interrupt another. A program never interrupts itself: the kernel does
 * not start it again on a CPU where it runs.
 *
 * A key that is new and finds the map full is not counted.
 *
 * Include your types first: vmlinux.h, or kernel_types.bpf.h beside this file.
 */
#ifndef BPFTALLY_MAPS_BPF_H
#define BPFTALLY_MAPS_BPF_H

#include <bpf/bpf_helpers.h>

#include "bits.bpf.h"

/*
 * The key's value, made with 0 when it is missing; NULL when the map is full.
 * Where two CPUs insert at once, one is told that the key exists and finds the
 * other's entry: neither count is lost.
 */
static __always_inline __u64 *lookup_or_zero(void *map, const void *key)
{
    __u64 zero = 0;
    __u64 *value = bpf_map_lookup_elem(map, key);

    if (!value) {
        bpf_map_update_elem(map, key, &zero, BPF_NOEXIST);
        value = bpf_map_lookup_elem(map, key);
    }
    return value;
}

/* Returns the value as it was read after the addition, 0 when there is none. */
static __always_inline __u64 increment_map(void *map, const void *key, __u64 increment)
{
    __u64 *value = lookup_or_zero(map, key);

    if (!value)
        return 0;
    __sync_fetch_and_add(value, increment);
    return *value;
}

static __always_inline __u64 increment_map_nosync(void *map, const void *key, __u64 increment)
{
    __u64 *value = lookup_or_zero(map, key);

    if (!value)
        return 0;
    *value += increment;
    return *value;
}

#define increment_histogram_slot(map, key, increment, max_bucket, slot_of, increment_in) \
    ({                                                                                   \
        __u64 histogram_value = (increment);                                             \
        __u64 histogram_slot = slot_of(histogram_value);                                 \
        if (histogram_slot > (max_bucket))                                               \
            histogram_slot = (max_bucket);                                               \
        (key).bucket = histogram_slot;                                                   \
        increment_in(map, &(key), 1);                                                    \
        if (histogram_value) {                                                           \
            (key).bucket = (max_bucket) + 1;                                             \
            increment_in(map, &(key), histogram_value);                                  \
        }                                                                                \
    })

#define increment_exp2_histogram(map, key, increment, max_bucket) \
    increment_histogram_slot(map, key, increment, max_bucket, exp2_slot, increment_map)

#define increment_exp2_histogram_nosync(map, key, increment, max_bucket) \
    increment_histogram_slot(map, key, increment, max_bucket, exp2_slot, increment_map_nosync)

#define increment_exp2zero_histogram(map, key, increment, max_bucket) \
    increment_histogram_slot(map, key, increment, max_bucket, exp2zero_slot, increment_map)

#define increment_exp2zero_histogram_nosync(map, key, increment, max_bucket) \
    increment_histogram_slot(map, key, increment, max_bucket, exp2zero_slot, increment_map_nosync)

/*
 * Reads an entry that always exists, as in an array, into a pointer; leaves
 * the program when it does not exist, which the verifier wants to see.
 */
#define read_array_ptr(map, key, into)              \
    do {                                            \
        (into) = bpf_map_lookup_elem((map), (key)); \
        if (!(into))                                \
            return 0;                               \
    } while (0)

#endif
