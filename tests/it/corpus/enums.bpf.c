/* Enums: unsigned, signed, of a byte, of 64 bits, without a name. */
#include "prelude.h"

enum colour { RED, GREEN = 5, BLUE };
enum signed_state { LOST = -1, FREE, TAKEN };
enum tiny { TINY_OFF, TINY_ON } __attribute__((packed));
enum huge { HUGE_BIT = 1ULL << 40, HUGE_LOW = 1 };
typedef enum { NAMELESS_A, NAMELESS_B } nameless_t;
struct key { enum colour colour; enum signed_state state; enum tiny tiny; enum huge huge; nameless_t nameless; };
DECLARE_MAP(seen_total, HASH, 64, struct key, u64);
DECLARE_MAP(by_colour_total, HASH, 64, enum colour, u64);
DECLARE_MAP(state_by_cpu, ARRAY, 8, u32, enum signed_state);
const volatile enum huge limit = HUGE_BIT;
SEC("raw_tp/sys_enter") int probe(void *ctx) { return limit; }
