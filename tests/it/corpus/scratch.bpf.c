/* Maps that only the programs use, beside one that counts. */
#include "prelude.h"

struct args { u64 ts; u32 fd; char *name; };
struct piddata { char comm[16]; u64 ts; u32 pid; };
struct hist { u32 slots[20]; };
DECLARE_MAP(start, HASH, 10240, u32, u64);
DECLARE_MAP(start_ts, HASH, 10240, void *, u64);
DECLARE_MAP(infobyreq, HASH, 10240, void *, struct piddata);
DECLARE_MAP(entry_args, HASH, 10240, u64, struct args);
DECLARE_MAP(inflight, LRU_HASH, 10240, u64, u64);
DECLARE_MAP(tmp_buffer, PERCPU_ARRAY, 1, u32, struct piddata);
struct { __uint(type, BPF_MAP_TYPE_TASK_STORAGE); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, int); __type(value, u64); } stash SEC(".maps");
DECLARE_MAP(hists, HASH, 64, u32, struct hist);
DECLARE_MAP(starts_total, HASH, 64, u32, u64);
SEC("raw_tp/sys_enter") int probe(void *ctx) { return 0; }
