/* Anonymous structs and unions inside of each other: C reaches what they hold without a name. */
#include "prelude.h"

struct key {
    union {
        struct { u16 source, target; };
        u32 both;
        struct { union { u8 low; s8 signed_low; }; };
    };
    struct { struct { u8 zone; }; };
};
DECLARE_MAP(ports_total, HASH, 64, struct key, u64);
SEC("raw_tp/sys_enter") int probe(void *ctx) { return 0; }
