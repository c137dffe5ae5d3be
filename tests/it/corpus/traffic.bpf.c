/* Two counters in the value of a map per CPU. */
#include "prelude.h"

struct key { u32 ifindex; u8 proto; };
struct value { u64 packets; u64 bytes; };
DECLARE_MAP(traffic, PERCPU_HASH, 64, struct key, struct value);
