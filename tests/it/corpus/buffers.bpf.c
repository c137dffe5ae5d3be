/* What is not read key by key. */
#include "prelude.h"

struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 20); } events SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } perf SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_STACK_TRACE); __uint(max_entries, 16); __uint(key_size, 4); __uint(value_size, 1016); } stacks SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 2); __uint(key_size, 4); __array(values, int (void *)); } calls SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_QUEUE); __uint(max_entries, 9); __type(value, u64); } queue SEC(".maps");
DECLARE_MAP(counted, ARRAY, 1, u32, u64);
SEC("perf_event/type=1,config=0,frequency=99") int p(void *ctx) {
    u64 *slot = bpf_ringbuf_reserve(&events, 8, 0);
    if (slot) bpf_ringbuf_submit(slot, 0);
    return bpf_get_stackid(ctx, &stacks, 0);
}
