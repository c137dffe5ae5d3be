/* Variables of every type with and without values. */
#include "prelude.h"

enum colour { RED = 1, GREEN = 5, };
struct settings { u32 rate; char label[8]; u8 low : 4; s8 high : 4; struct { u16 a; u16 b; } nested; };
union either { u32 number; u8 octets[4]; };
const volatile u32 limit = 7;
const volatile s16 negative = -5;
const volatile u64 huge = ~0ULL;
const volatile _Bool enabled = 1;
const volatile double ratio = 1.5;
const volatile float half = 0.5f;
const volatile char greeting[16] = "hello";
const volatile char letter = 'a';
const volatile enum colour colour = GREEN;
const volatile u32 table[4] = {1, 2, 3};
const volatile struct settings settings = {100, "x", 5, -1, {1, 2}};
const volatile union either either = {0x01020304};
const volatile u8 raw[3] = {1, 0, 255};
const volatile struct settings several[2] = {{1, "one"}, {2, "two, which is the last"}};
u32 started = 5;
u64 counted = 0;
u64 nothing[3];
void *pointer;
static volatile u32 hidden = 3;
u64 elsewhere SEC(".data.settings") = 4;
DECLARE_MAP(m, ARRAY, 1, u32, u64);
SEC("tp/sched/sched_switch") int p(void *ctx) {
    hidden++; counted += limit + negative + huge + enabled + table[1] + settings.rate + raw[1] + letter + either.number;
    return greeting[1] + colour + started + nothing[1] + elsewhere + several[1].rate + (pointer != 0);
}
