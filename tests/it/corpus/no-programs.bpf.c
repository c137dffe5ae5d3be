/* Maps alone: others fill them. */
#include "prelude.h"

DECLARE_MAP(filled_total, HASH, 64, u32, u64);
