/* Types, a program and a variable, but no map. */
#include "prelude.h"

u64 calls = 0;
SEC("raw_tp/sys_enter") int probe(void *ctx) { __sync_fetch_and_add(&calls, 1); return 0; }
