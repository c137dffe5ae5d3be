/* Flags, pinning, NUMA nodes. */
#include "prelude.h"

struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 5); __uint(numa_node, 0); __uint(map_flags, BPF_F_NUMA_NODE); __uint(pinning, LIBBPF_PIN_BY_NAME); __type(key, int); __type(value, long); } pinned SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 500); __uint(map_flags, BPF_F_MMAPABLE | BPF_F_RDONLY_PROG); __type(key, u32); __type(value, u32); } mapped SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1000); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, u32); __type(value, u32); } sparse SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_BLOOM_FILTER); __uint(max_entries, 100); __uint(map_extra, 3); __type(value, u32); } bloom SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_TASK_STORAGE); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, int); __type(value, u64); } per_task SEC(".maps");
SEC("tp/sched/sched_switch") int p(void *ctx) { return 0; }
