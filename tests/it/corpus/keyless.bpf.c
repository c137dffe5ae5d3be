/* Maps without a type for key or value, and arrays of one entry, which need no label. */
#include "prelude.h"

struct totals { u64 packets; u64 drops; };
DECLARE_MAP(totals, PERCPU_ARRAY, 1, u32, struct totals);
DECLARE_MAP(switches_total, ARRAY, 1, u32, u64);
DECLARE_MAP(depth, ARRAY, 1, u32, u64[4]);
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 16); __uint(key_size, 8); __uint(value_size, 8); } sized SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 16); __uint(key_size, 20); __uint(value_size, 4); } odd SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __uint(key_size, 4); __uint(value_size, 24); } block SEC(".maps");
SEC("raw_tp/sys_enter") int probe(void *ctx) { return 0; }
