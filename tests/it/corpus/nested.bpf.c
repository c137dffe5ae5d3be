/* Structs in structs in arrays, in keys and in values. */
#include "prelude.h"

struct endpoint { u32 address; u16 port; };
struct side { struct endpoint endpoints[2]; u8 hops; };
struct key { struct side from; struct side to; };
struct value { struct { u64 packets; u64 bytes; } in, out; struct endpoint last; };
DECLARE_MAP(flows, HASH, 128, struct key, struct value);
SEC("raw_tp/sys_enter") int probe(void *ctx) { return 0; }
