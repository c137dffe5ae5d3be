/* Maps of other projects: memory of bytes, flags of one bit, addresses and reserves in values, a latency by slots. */
#include "prelude.h"

struct entry {
    u64 reserved0; u64 backend_id; u64 packets; u16 closing : 1, seen : 1, ring : 4, reserved1 : 10; u16 rev_index; u8 mac[6];
    u32 rsvd_2; u8 state_flags;
};
struct wide { u32 a[30]; u64 b; u64 c; u64 d; };
struct many { struct { u16 x, y; } points[24]; };
DECLARE_MAP(tracked, LRU_HASH, 64, u32, struct entry);
DECLARE_MAP(event_memory, PERCPU_ARRAY, 64, u32, u8[256]);
DECLARE_MAP(shrink_latency_seconds, ARRAY, 28, u32, u64);
DECLARE_MAP(by_points, HASH, 64, struct many, u64);
SEC("raw_tp/sys_enter") int probe(void *ctx) { return 0; }
