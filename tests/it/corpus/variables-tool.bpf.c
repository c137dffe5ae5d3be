/* Counts and histograms in variables, as tools of libbpf have them, with what they are set by. */
#include "prelude.h"

enum vectors { HI, TIMER, VECTORS };
struct hist { u32 slots[20]; };
struct waits { u64 slots[8]; u64 total_us; u64 count; s32 depth; };
struct limits { u32 least; union { u64 both; u16 low; }; char name[8]; u8 quiet : 1, level : 3; };
const volatile struct limits limits = {.least = 5, .both = 9, .name = "all", .level = 2};
const volatile u32 steps[3] = {1, 2};
u64 counts[VECTORS];
u64 time[VECTORS];
struct hist hists[VECTORS];
struct waits waits_hist;
u32 hist_lengths[16];
u64 bytes_by_cpu[64];
struct { u64 rx_packets; u64 tx_packets; s64 queued; } dev_stats;
struct { u64 hits; u64 misses; } pair_total;
u64 begun = 3;
u64 errors_seen = 1;
static u64 last_seen;
u8 buffer[64];
SEC("raw_tp/sys_enter") int probe(void *ctx) {
    counts[TIMER]++; time[HI] += 2; hists[TIMER].slots[3]++; waits_hist.slots[1]++; waits_hist.count++; hist_lengths[2]++;
    bytes_by_cpu[0]++; dev_stats.rx_packets++; dev_stats.queued--; waits_hist.depth--; pair_total.hits++; begun++; errors_seen++; last_seen++; buffer[1] = 1;
    return limits.least + steps[1];
}
