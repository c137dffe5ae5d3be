// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Opens of files that failed, by the program that tried and the error.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/maps.bpf.h"
#include "include/registers.bpf.h"

#define X86_OPEN 2
#define X86_CREAT 85
#define X86_OPENAT 257
#define ARM64_OPENAT 56
#define OPENAT2 437

struct failure_key {
    char comm[16];
    u32 errno;
};

/*
 * A machine has some hundred programs with a few errors each; names that change
 * all the time fill it, and those that are not seen any more make room once
 * they expire, see the YAML.
 */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 4096);
    __type(key, struct failure_key);
    __type(value, u64);
} open_failures_total SEC(".maps");

static __always_inline bool opens(struct pt_regs *regs)
{
    s64 number = number_at_exit(regs);

    if (number == OPENAT2)
        return true;
    if (has_x86_numbers(regs))
        return number == X86_OPENAT || number == X86_OPEN || number == X86_CREAT;
    return number == ARM64_OPENAT;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long result)
{
    struct failure_key key = {};

    key.errno = error_of(result);
    if (!key.errno || !opens(regs) || is_compat())
        return 0;
    bpf_get_current_comm(key.comm, sizeof(key.comm));
    increment_map_nosync(&open_failures_total, &key, 1);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
