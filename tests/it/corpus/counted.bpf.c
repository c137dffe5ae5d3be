/* Variables that programs count in, by their names, and others. */
#include "prelude.h"

u64 events_total;
u32 drops_total[4];
u64 gauge_depth SEC(".data.mine") = 3;
static volatile u64 hidden_total;
u64 scratch;
s64 balance_total;
struct { u64 one, two; } pair_total;
u64 *address_total;
u64 grid_total[2][2];
const volatile u64 constant_total = 1;
u64 lost_total SEC(".bss.a_long_section_name");
SEC("tp/sched/sched_switch") int p(void *ctx) {
    events_total++; drops_total[1]++; gauge_depth++; hidden_total++; scratch++; balance_total--; pair_total.one++;
    grid_total[1][1]++; lost_total++;
    return constant_total + (address_total != 0);
}
