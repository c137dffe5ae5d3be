/* Variables in sections of their own names, and without a first value. */
#include "prelude.h"

const volatile u32 limit SEC(".rodata.limits") = 10;
u32 threshold SEC(".data.tuning") = 3;
u64 seen SEC(".bss.counts");
static u64 hidden SEC(".bss.counts");
const volatile char *label = "text";
u32 plain = 1;
u32 zero;
DECLARE_MAP(calls_total, HASH, 64, u32, u64);
SEC("raw_tp/sys_enter") int probe(void *ctx) { seen++; hidden++; return limit + threshold + plain + zero + label[0] + hidden; }
