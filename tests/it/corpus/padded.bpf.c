/* Padding between members, at the end, and explicit; and none at all. */
#include "prelude.h"

struct padded { u8 kind; u64 inode; u16 port; };
struct explicit { u16 port; u16 pad; u32 zone; u8 _pad[3]; u8 kind; };
struct packed { u8 kind; u64 inode; u16 port; } __attribute__((packed));
struct aligned { u32 id; } __attribute__((aligned(16)));
DECLARE_MAP(padded_total, HASH, 32, struct padded, u64);
DECLARE_MAP(explicit_total, HASH, 32, struct explicit, u64);
DECLARE_MAP(packed_total, HASH, 32, struct packed, u64);
DECLARE_MAP(aligned_total, HASH, 32, struct aligned, u64);
SEC("raw_tp/sys_enter") int probe(void *ctx) { return 0; }
