/* Bit-fields of every kind: signed, crossing bytes, without a name, of an enum, of a bool. */
#include "prelude.h"

enum mode { MODE_READ, MODE_WRITE, MODE_SYNC };
struct key {
    u32 cpu : 9, : 3, queue : 12;
    s32 delta : 5;
    enum mode mode : 3;
    _Bool busy : 1;
    u64 wide : 40;
};
struct value { u32 done : 20, failed : 12; s16 balance : 7; };
DECLARE_MAP(operations, HASH, 64, struct key, struct value);
SEC("raw_tp/sys_enter") int probe(void *ctx) { return 0; }
