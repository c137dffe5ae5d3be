/* Helpers for the GPL alone, under another licence. */
#define LICENCE "Apache-2.0"
#include "prelude.h"

DECLARE_MAP(reads_total, HASH, 64, u32, u64);
SEC("raw_tp/sys_enter") int reads(u64 *ctx) { u64 value = 0; bpf_probe_read_kernel(&value, sizeof(value), (void *)ctx[0]); return value; }
SEC("raw_tp/sys_exit") int counts(void *ctx) { u32 key = 1; return bpf_map_lookup_elem(&reads_total, &key) != 0; }
