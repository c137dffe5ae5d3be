/* Neither a map that is read key by key, nor events, nor a variable that is written. */
#include "prelude.h"

const volatile u32 limit = 7;
struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 4); __uint(key_size, 4); __uint(value_size, 4); }
    calls SEC(".maps");
SEC("raw_tp/sys_enter") int probe(void *ctx) { bpf_tail_call(ctx, &calls, limit); return 0; }
