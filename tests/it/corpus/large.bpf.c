/* More than a page can show. */
#include "prelude.h"

struct row { u32 a_rather_long_name_of_a_member_that_somebody_chose_long_ago; u32 another[31]; };
struct huge { struct row rows[4]; struct { u8 a, b, c, d; } many[20]; };
const volatile u32 numbers[100] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26};
const volatile char path[100] = "/var/lib/somewhere/far/below/in/a/folder/with/a/rather/long/name/of/its/own";
u64 zeros[1 << 20];
DECLARE_MAP(a_map_with_a_rather_long_name_of_its_own_that_somebody_chose, HASH, 1000000, struct huge, u64[512]);
SEC("tp/sched/sched_switch") int a_program_with_a_rather_long_name_of_its_own_that_somebody_chose(void *ctx) { return path[3] + numbers[7] + zeros[9]; }
