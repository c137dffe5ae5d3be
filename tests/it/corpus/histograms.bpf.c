/* Histograms as people write them: slots in the key, in an array map, in the value, per CPU, without a struct. */
#include "prelude.h"

struct by_disk { u32 dev; u32 slot; };
struct by_command { char comm[16]; u64 bucket; };
struct wide { u64 sum; u64 slots[64]; };
struct two { u32 read_slots[16]; u32 slots[16]; u32 cnt; };
DECLARE_MAP(disk_latency, PERCPU_HASH, 512, struct by_disk, u64);
DECLARE_MAP(command_latency, HASH, 512, struct by_command, u64);
DECLARE_MAP(hist_lengths, ARRAY, 28, u32, u64);
DECLARE_MAP(wide, PERCPU_HASH, 64, u32, struct wide);
DECLARE_MAP(sizes_hist, HASH, 64, u32, u64[16]);
DECLARE_MAP(two, ARRAY, 1, u32, struct two);
SEC("raw_tp/sys_enter") int probe(void *ctx) { return 0; }
