/* clang: -target bpf -O2 -mcpu=v3 */
/* Compiled without -g: nothing describes the maps. */
#include "prelude.h"

DECLARE_MAP(calls_total, HASH, 64, u32, u64);
SEC("raw_tp/sys_enter") int probe(void *ctx) { u32 key = 1; return bpf_map_lookup_elem(&calls_total, &key) != 0; }
