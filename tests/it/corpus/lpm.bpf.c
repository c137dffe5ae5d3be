/* Longest prefixes. */
#include "prelude.h"

struct prefix { u32 length; u8 address[16]; };
struct { __uint(type, BPF_MAP_TYPE_LPM_TRIE); __uint(max_entries, 100); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, struct prefix); __type(value, u64); } networks SEC(".maps");
SEC("xdp/eth0") int p(void *ctx) { struct prefix key = {.length = 128}; return bpf_map_lookup_elem(&networks, &key) ? 1 : 2; }
