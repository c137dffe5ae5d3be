/* Enums, bit-fields and long arrays in a key; values that are no number; a histogram in an array. */
#include "prelude.h"

enum state { IDLE, BUSY };
struct key { enum state state; u32 flags : 4, retries : 28; u64 stack[4]; };
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } events SEC(".maps");
DECLARE_MAP(states_total, HASH, 64, struct key, u64);
DECLARE_MAP(names, HASH, 64, u32, char *);
DECLARE_MAP(hist_sizes, PERCPU_ARRAY, 64, u32, u64);
