/* char arrays are text, byte arrays are not; a single char is a number. */
#include "prelude.h"

struct key { char comm[16]; char path[64]; u8 mac[6]; signed char level; unsigned char raw[5]; char letter; char empty[0]; };
DECLARE_MAP(opens_total, LRU_HASH, 64, struct key, u64);
DECLARE_MAP(by_name_total, HASH, 64, char[32], u64);
SEC("raw_tp/sys_enter") int probe(void *ctx) { return 0; }
