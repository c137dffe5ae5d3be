// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* An implementation that is there as long as a link. */
#include "operations.bpf.h"

CONGESTION_CONTROL(".struct_ops.link", "struct_ops", on_struct_ops_link, CONTROL_BY_LINK)
