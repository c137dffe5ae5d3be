/* A latency tool as libbpf-tools write it: a start map, a filter in .rodata, a histogram by disk. */
#include "prelude.h"

#define MAX_SLOTS 27
struct hist_key { u32 cmd_flags; u32 dev; };
struct hist { u32 slots[MAX_SLOTS]; };
const volatile _Bool filter_cg = 0, targ_per_disk = 0, targ_ms = 0;
const volatile u32 targ_dev = 0;
DECLARE_MAP(start, HASH, 10240, u64, u64);
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 10240); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, struct hist_key); __type(value, struct hist); } hists SEC(".maps");
SEC("raw_tp/block_rq_issue") int issue(u64 *ctx)
{
    u64 request = ctx[0], now = bpf_ktime_get_ns();
    bpf_map_update_elem(&start, &request, &now, 0);
    return 0;
}
SEC("raw_tp/block_rq_complete") int complete(u64 *ctx)
{
    u64 request = ctx[0], *began = bpf_map_lookup_elem(&start, &request);
    struct hist_key key = { .dev = targ_per_disk ? targ_dev : 0 };
    if (!began || filter_cg)
        return 0;
    u64 slot = (bpf_ktime_get_ns() - *began) / (targ_ms ? 1000000 : 1000);
    struct hist *hist = bpf_map_lookup_elem(&hists, &key);
    if (hist)
        __sync_fetch_and_add(&hist->slots[slot & 15], 1);
    bpf_map_delete_elem(&start, &request);
    return 0;
}
