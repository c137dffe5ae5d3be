// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * System calls and their errors by the control group that made them, those of
 * 32-bit programs included.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/maps.bpf.h"
#include "include/registers.bpf.h"

struct error_key {
    u64 cgroup;
    u32 errno;
    u32 unused;
};

/*
 * By id of the control group (v2). 2048 are all containers of a full node and
 * its services, twice. Each CPU adds to memory of its own. Those that are gone
 * make room once they expire, see the YAML.
 */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 2048);
    __type(key, u64);
    __type(value, u64);
} cgroup_syscalls_total SEC(".maps");

/* A group shows about ten errors: EAGAIN, ENOENT and a few more. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 16384);
    __type(key, struct error_key);
    __type(value, u64);
} cgroup_syscall_errors_total SEC(".maps");

SEC("tp_btf/sys_enter")
int BPF_PROG(sys_enter, struct pt_regs *regs, long number)
{
    u64 cgroup = bpf_get_current_cgroup_id();

    increment_map_nosync(&cgroup_syscalls_total, &cgroup, 1);
    return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long result)
{
    struct error_key key = {};

    key.errno = error_of(result);
    if (!key.errno || number_at_exit(regs) == NO_SYSCALL)
        return 0;
    key.cgroup = bpf_get_current_cgroup_id();
    increment_map_nosync(&cgroup_syscall_errors_total, &key, 1);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
