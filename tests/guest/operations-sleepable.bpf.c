// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* An implementation of which a part may sleep. */
#include "operations.bpf.h"

CONGESTION_CONTROL(".struct_ops", "struct_ops.s", on_struct_ops_s, CONTROL_SLEEPABLE)
