/* Values of their own for each CPU. */
#include "prelude.h"

struct traffic { u64 packets; u64 bytes; u32 slots[26]; };
DECLARE_MAP(by_interface, PERCPU_HASH, 1024, u32, struct traffic);
DECLARE_MAP(slots, PERCPU_ARRAY, 1, u32, u64[27]);
DECLARE_MAP(lru, LRU_PERCPU_HASH, 64, u64, s32);
SEC("raw_tp/sys_enter") int p(void *ctx) { u32 zero = 0; return bpf_map_lookup_elem(&slots, &zero) != 0; }
