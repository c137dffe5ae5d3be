/* Plain numbers under plain keys. */
#include "prelude.h"

DECLARE_MAP(calls_by_pid, HASH, 64, u32, u64);
DECLARE_MAP(gauge_depth, ARRAY, 64, u32, s32);
