/* Typedefs of typedefs, qualifiers, and types whose names say their byte order. */
#include "prelude.h"

typedef u32 pid_t;
typedef pid_t thread_t;
typedef const volatile u64 stamp_t;
typedef struct { thread_t tid; __be16 dport; __be32 saddr; stamp_t mark; } request_t;
typedef request_t alias_t;
typedef u64 count_t;
DECLARE_MAP(requests_total, HASH, 64, alias_t, count_t);
DECLARE_MAP(threads_total, HASH, 64, thread_t, count_t);
SEC("raw_tp/sys_enter") int probe(void *ctx) { return 0; }
