/* What old verifiers do not know. */
#include "prelude.h"

DECLARE_MAP(m, ARRAY, 1, u32, u64);
SEC("tp/sched/sched_switch") int adds(void *ctx) { u32 k = 0; u64 *v = bpf_map_lookup_elem(&m, &k); if (v) __sync_fetch_and_add(v, 1); return 0; }
SEC("tp/sched/sched_switch") int exchanges(void *ctx) { u32 k = 0; u64 *v = bpf_map_lookup_elem(&m, &k); return v ? __sync_val_compare_and_swap(v, 1, 2) : 0; }
SEC("tp/sched/sched_switch") int compares(u32 *ctx) { return ctx[1] == 5; }
