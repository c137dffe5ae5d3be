/* Functions that programs share. */
#include "prelude.h"

DECLARE_MAP(hits, HASH, 8, u32, u64);
static __attribute__((noinline)) u64 shared(u32 key) { u64 *v = bpf_map_lookup_elem(&hits, &key); return v ? *v : bpf_ktime_get_ns(); }
__attribute__((noinline)) int global(u32 key) { return bpf_get_prandom_u32() + shared(key) + key; }
static long each(u32 index, void *ctx) { return bpf_get_smp_processor_id() == index; }
SEC("tp/sched/sched_switch") int caller(void *ctx) { static long (*loop)(u32, void *, void *, u64) = (void *)181; return loop(3, each, 0, 0) + global(2); }
SEC("tp/sched/sched_wakeup") int alone(void *ctx) { return bpf_get_current_pid_tgid() == 7; }
