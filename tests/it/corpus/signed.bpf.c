/* Signed integers of every size, in keys and values. */
#include "prelude.h"

struct key { s8 nice; s16 cpu; s32 errno; s64 offset; };
struct value { s8 a; s16 b; s32 c; s64 d; };
DECLARE_MAP(errors, HASH, 64, struct key, struct value);
DECLARE_MAP(by_error_total, HASH, 64, int, long);
SEC("raw_tp/sys_enter") int probe(void *ctx) { return 0; }
