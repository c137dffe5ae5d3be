/* Names that say how to decode; variables to set; a slot as last member of the key. */
#include "prelude.h"

struct key { u64 cgroup_id; u32 dev; s32 errno; u64 slot; };
const volatile u64 min_ns = 1000;
const volatile u64 kaddr_jiffies = 0;
SEC("raw_tp/sys_enter") int kept(void *ctx) { return min_ns + kaddr_jiffies; }
DECLARE_MAP(io_seconds, PERCPU_HASH, 64, struct key, u64);
