/* Floats, doubles and bools as values: what user space wrote into a map. */
#include "prelude.h"

struct reading { float celsius; double volts; _Bool valid; };
DECLARE_MAP(sensors, HASH, 16, u32, struct reading);
DECLARE_MAP(load_average, ARRAY, 3, u32, double);
DECLARE_MAP(switches, ARRAY, 4, u32, _Bool);
const volatile double factor = 0.5;
SEC("raw_tp/sys_enter") int probe(void *ctx) { return 0; }
