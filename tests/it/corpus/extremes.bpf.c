/* Values that do not add up: extremes, times, identities, states; unions of two numbers. */
#include "prelude.h"

struct seen { u64 calls; u64 max_ns; u64 min_ns; u64 last_seen; u32 pid; u64 opened_at; union { u64 whole; u32 half; }; };
DECLARE_MAP(seen, PERCPU_HASH, 64, u32, struct seen);
DECLARE_MAP(max_depth, PERCPU_ARRAY, 1, u32, u64);
DECLARE_MAP(last_error, HASH, 64, u32, s32);
SEC("raw_tp/sys_enter") int probe(void *ctx) { return 0; }
