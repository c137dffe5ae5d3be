// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* An implementation as the kernel has taken them from the first. */
#include "operations.bpf.h"

CONGESTION_CONTROL(".struct_ops", "struct_ops", on_struct_ops, CONTROL)
