/* One of each thing that libbpf or the kernel refuses, or that is not what it seems. */
#include "prelude.h"

struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, u32); __type(value, u64); } empty SEC(".maps");
DECLARE_MAP(trie, LPM_TRIE, 9, u64, u64);
struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 9); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, u64); __type(value, u64); } lru SEC(".maps");
DECLARE_MAP(keys, ARRAY, 9, u64, u64);
DECLARE_MAP(per_task, TASK_STORAGE, 9, int, u64);
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 9); __uint(key_size, 4); } no_value SEC(".maps");
DECLARE_MAP(requests_by_client_total, HASH, 9, u32, u64);
DECLARE_MAP(requests_by_code, HASH, 9, u32, u64);
DECLARE_MAP(requests_by_client_errors, HASH, 9, u32, u64);
SEC("kprobes/vfs_read") int unknown(void *ctx) { return 0; }
SEC("?nonsense") int unknown_and_off(void *ctx) { return 0; }
SEC("fentry") int no_target(void *ctx) { return 0; }
SEC("tracepoint/sched_switch") int half(void *ctx) { return 0; }
