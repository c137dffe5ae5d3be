/* Bit-fields, packing, unions, anonymous and nested members, arrays, padding. */
#include "prelude.h"

enum kind { KIND_A, KIND_B = 7 };
struct pair { u16 a; u8 b; };
struct nested {
    u8 first;
    struct { u32 low : 3; int high : 7; u32 : 6; u32 rest : 16; } inner;
    union { u32 v4; u8 v6[16]; };
    struct pair pairs[2];
    enum kind kind;
    char comm[16];
    _Bool last;
};
struct packed { u8 a; u64 b; u16 c; } __attribute__((packed));
typedef struct { s64 signed_one; void *pointer; u32 matrix[2][3]; } typedefed;
DECLARE_MAP(nested, HASH, 8, struct nested, u64);
DECLARE_MAP(packed, HASH, 8, struct packed, typedefed);
struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 64); __uint(key_size, 12); __uint(value_size, 8); } untyped SEC(".maps");
SEC("tp/sched/sched_switch") int p(void *ctx) { return 0; }
