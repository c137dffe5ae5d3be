/* An address of either family, as socket tools keep it. */
#include "prelude.h"

struct key { union { u32 v4; u8 v6_addr[16]; }; u16 family; char comm[16]; };
DECLARE_MAP(peers, LRU_HASH, 64, struct key, u64);
