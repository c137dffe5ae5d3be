// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A program at a function of a module, which is found by the module's types, and reads what these and the kernel's say. */
#include "fallocate.bpf.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct loop_device {
    int lo_number;
};

struct task_struct {
    int tgid;
};

#pragma clang attribute pop

COUNTS(module_typed_calls_total, u32);

/* 1 when both have what they have to. */
SEC("fentry/lo_ioctl")
int on_request(void *context)
{
    struct task_struct *task = (void *)bpf_get_current_task();
    u32 is_right = bpf_core_field_exists(struct loop_device, lo_number) &&
                   BPF_CORE_READ(task, tgid) == bpf_get_current_pid_tgid() >> 32;

    increment_map(&module_typed_calls_total, &is_right, 1);
    return 0;
}
