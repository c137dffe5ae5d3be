/* A function that is declared and never defined. */
#include "prelude.h"

DECLARE_MAP(calls_total, HASH, 64, u32, u64);
extern int somewhere(int number);
SEC("raw_tp/sys_enter") int probe(void *ctx) { return somewhere(1); }
