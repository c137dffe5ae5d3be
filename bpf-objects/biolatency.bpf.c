// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Block I/O latency: from the moment a request is given to the driver until
 * all of it is done, by device and operation. Errors are counted apart.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/block.bpf.h"
#include "include/maps.bpf.h"

/* 2^27 us is 134 s; a request that took longer counts in the last slot. */
#define MAX_LATENCY_SLOT 27

extern int LINUX_KERNEL_VERSION __kconfig;

struct latency_key {
    u32 device;
    enum block_operation operation;
    u64 bucket;
};

struct error_key {
    u32 device;
    enum block_operation operation;
};

/*
 * When each request was given to its driver. Drivers use a fixed set of
 * requests again and again, so that one which never completes leaves an entry
 * that its next use replaces. The size bounds requests in flight at one time;
 * above it a request is not measured.
 */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __type(key, u64);
    __type(value, u64);
} issued_at SEC(".maps");

/*
 * A device and operation needs at most 29 entries: slots 0 to 27 and the sum.
 * 8192 is 70 devices that read, write, flush and discard with every latency
 * there is. Each CPU adds to memory of its own (64 KiB).
 */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 8192);
    __type(key, struct latency_key);
    __type(value, u64);
} block_io_latency_seconds SEC(".maps");

/* Seven operations of 146 devices; errors are rare, so that all CPUs share. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 1024);
    __type(key, struct error_key);
    __type(value, u64);
} block_io_errors_total SEC(".maps");

static __always_inline int issued(struct request *request)
{
    u64 key = (u64) request, now = bpf_ktime_get_ns();

    bpf_map_update_elem(&issued_at, &key, &now, BPF_ANY);
    return 0;
}

/*
 * Linux 5.11 took the queue out of the tracepoint's arguments, and 5.10.137
 * followed. BTF has no word for that which this compiler can ask for. So libbpf
 * fills in the kernel's version, also where a distribution keeps it elsewhere
 * than in uname's release, and the verifier never looks at the other arm.
 */
SEC("tp_btf/block_rq_issue")
int block_rq_issue(u64 *context)
{
    if (LINUX_KERNEL_VERSION >= KERNEL_VERSION(5, 10, 137))
        return issued((struct request *) context[0]);
    return issued((struct request *) context[1]);
}

SEC("tp_btf/block_rq_complete")
int BPF_PROG(block_rq_complete, struct request *request, int error, unsigned int bytes)
{
    struct latency_key key = {};
    struct error_key error_key = {};
    u64 request_key = (u64) request, now = bpf_ktime_get_ns(), latency, *issued;
    struct gendisk *disk;

    issued = bpf_map_lookup_elem(&issued_at, &request_key);
    if (!issued)
        return 0;
    /* A part is done, and the request goes on. */
    if (bytes < request->__data_len)
        return 0;
    latency = now > *issued ? now - *issued : 0;
    bpf_map_delete_elem(&issued_at, &request_key);

    /* Commands to a queue without a disk (a tape, a bus scan) are no block I/O. */
    disk = disk_of(request);
    if (!disk)
        return 0;

    key.device = device_of_disk(disk);
    key.operation = operation_of(request);
    increment_exp2_histogram_nosync(&block_io_latency_seconds, key, latency / 1000,
                                    MAX_LATENCY_SLOT);

    if (error) {
        error_key.device = key.device;
        error_key.operation = key.operation;
        increment_map(&block_io_errors_total, &error_key, 1);
    }
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
