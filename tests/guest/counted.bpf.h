/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the programs of hooks count in, under the number that a config gives them. */
#pragma once

#include "maps.bpf.h"

/* Large enough that it does not fit into what a process may lock without more rights. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 4096);
    __type(key, u32);
    __type(value, u64);
} hook_events_total SEC(".maps");

const volatile u32 hook = 0;

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline int count(int result)
{
    u32 key = hook;

    increment_map(&hook_events_total, &key, 1);
    return result;
}
