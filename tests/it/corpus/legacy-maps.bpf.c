/* Maps as libbpf had them before 1.0. */
#include "prelude.h"

struct bpf_map_def { u32 type, key_size, value_size, max_entries; };
struct bpf_map_def SEC("maps") calls = { .type = BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 8, .max_entries = 64 };
SEC("raw_tp/sys_enter") int probe(void *ctx) { u32 key = 1; return bpf_map_lookup_elem(&calls, &key) != 0; }
