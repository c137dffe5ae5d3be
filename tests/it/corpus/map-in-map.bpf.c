/* Maps of maps. */
#include "prelude.h"

struct inner_t { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 3); __type(key, u32); __type(value, u64); };
struct inner_t one SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 2); __type(key, u32); __array(values, struct inner_t); }
    outer SEC(".maps") = { .values = { &one } };
struct { __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS); __uint(max_entries, 2); __type(key, u64); __array(values, struct inner_t); } by_cgroup SEC(".maps");
SEC("tp/sched/sched_switch") int p(void *ctx) { return 0; }
