/* Addresses in the kernel's own structs, in arrays and in one number of 16 bytes. */
#include "prelude.h"
#include <linux/in.h>
#include <linux/in6.h>

struct ends { struct in_addr from; struct in_addr to; };
struct ends_v6 { struct in6_addr from; struct in6_addr to; };
struct either { union { __be32 saddr; struct in6_addr saddr6; }; u16 family; };
struct numbers { union { u32 addr_v4; unsigned __int128 addr_v6; }; u8 mac[6]; u32 ip_count; };
DECLARE_MAP(v4_total, HASH, 64, struct ends, u64);
DECLARE_MAP(v6_total, HASH, 64, struct ends_v6, u64);
DECLARE_MAP(either_total, HASH, 64, struct either, u64);
DECLARE_MAP(numbers_total, HASH, 64, struct numbers, u64);
SEC("raw_tp/sys_enter") int probe(void *ctx) { return 0; }
