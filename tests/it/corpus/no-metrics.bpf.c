/* Nothing to publish. */
#include "prelude.h"

struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } events SEC(".maps");
SEC("tp/sched/sched_switch") int p(void *ctx) { return 0; }
