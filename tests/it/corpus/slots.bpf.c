/* A histogram in a struct, as libbpf-tools has it, with a sum and a count beside it. */
#include "prelude.h"

struct hist { u32 slots[27]; u64 total_us; u64 count; };
DECLARE_MAP(latency, HASH, 64, u64, struct hist);
