/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Logarithms without a loop, for every verifier. */
#ifndef BPFTALLY_BITS_BPF_H
#define BPFTALLY_BITS_BPF_H

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

/* floor(log2(value)), and 0 for 0. */
static __always_inline __u64 log2l(__u64 value)
{
    __u64 result = 0, step;

    step = (__u64) (value > 0xffffffffULL) << 5;
    value >>= step;
    result |= step;
    step = (__u64) (value > 0xffff) << 4;
    value >>= step;
    result |= step;
    step = (__u64) (value > 0xff) << 3;
    value >>= step;
    result |= step;
    step = (__u64) (value > 0xf) << 2;
    value >>= step;
    result |= step;
    step = (__u64) (value > 0x3) << 1;
    value >>= step;
    result |= step;

    return result | (value >> 1);
}

/* The same for 32 bits. */
static __always_inline __u64 log2(__u32 value)
{
    return log2l(value);
}

/* ceil(log2(value)), and 0 for 0: the slot whose bound 2^slot is the first not below the value. */
static __always_inline __u64 exp2_slot(__u64 value)
{
    return value > 1 ? log2l(value - 1) + 1 : 0;
}

/* The same, moved up by one, so that zeros have slot 0 to themselves. */
static __always_inline __u64 exp2zero_slot(__u64 value)
{
    return value ? exp2_slot(value) + 1 : 0;
}

#endif
