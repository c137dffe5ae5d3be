// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Block I/O by device and operation: the sizes of requests, and how many the
 * driver has at the moment.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "include/bits.bpf.h"
#include "include/block.bpf.h"

/* 2^25 bytes are 32 MiB. What is larger (a discard) is in no slot, and in `count` alone. */
#define SIZE_SLOTS 26

extern int LINUX_KERNEL_VERSION __kconfig;

struct request_key {
    u32 device;
    enum block_operation operation;
};

struct sizes {
    u64 count;
    u64 bytes;
    u64 slots[SIZE_SLOTS];
};

/*
 * Requests that drivers have. They use a fixed set of requests again and again,
 * so that one whose end was missed is found again by its next use. The size
 * bounds requests in flight at one time; above it one is not counted as such.
 */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 16384);
    __type(key, u64);
    __type(value, struct request_key);
} requests SEC(".maps");

/* Seven operations of 146 devices. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 1024);
    __type(key, struct request_key);
    __type(value, struct sizes);
} block_io_size_bytes SEC(".maps");

/*
 * As many. A request may begin on one CPU and end on another: the sum of all
 * CPUs is the number. An end interrupts a beginning: both add atomically, on
 * memory of their CPU.
 */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
    __uint(max_entries, 1024);
    __type(key, struct request_key);
    __type(value, s64);
} block_io_in_flight SEC(".maps");

static const struct sizes no_sizes;

static __always_inline void change_in_flight(const struct request_key *key, s64 change)
{
    s64 zero = 0, *in_flight = bpf_map_lookup_elem(&block_io_in_flight, key);

    if (!in_flight) {
        bpf_map_update_elem(&block_io_in_flight, key, &zero, BPF_NOEXIST);
        in_flight = bpf_map_lookup_elem(&block_io_in_flight, key);
    }
    if (in_flight)
        __sync_fetch_and_add(in_flight, change);
}

static __always_inline void observe_size(const struct request_key *key, u32 bytes)
{
    struct sizes *sizes = bpf_map_lookup_elem(&block_io_size_bytes, key);
    u64 slot = exp2_slot(bytes);

    if (!sizes) {
        bpf_map_update_elem(&block_io_size_bytes, key, &no_sizes, BPF_NOEXIST);
        sizes = bpf_map_lookup_elem(&block_io_size_bytes, key);
    }
    if (!sizes)
        return;
    /* One register is compared and used: verifiers before Linux 5.15 do not see that two are the same. */
    barrier_var(slot);
    if (slot < SIZE_SLOTS)
        sizes->slots[slot] += 1;
    sizes->count += 1;
    sizes->bytes += bytes;
}

static __always_inline int issued(struct request *request)
{
    struct request_key key = {}, *last;
    u64 request_key = (u64) request;
    struct gendisk *disk = disk_of(request);

    /* Commands to a queue without a disk (a tape, a bus scan) are no block I/O. */
    if (!disk)
        return 0;
    key.device = device_of_disk(disk);
    key.operation = operation_of(request);
    /* A flush carries nothing. */
    if (request->__data_len)
        observe_size(&key, request->__data_len);

    /* Put back into the queue by the driver, or its end was missed. */
    last = bpf_map_lookup_elem(&requests, &request_key);
    if (last)
        change_in_flight(last, -1);
    if (bpf_map_update_elem(&requests, &request_key, &key, BPF_ANY) == 0)
        change_in_flight(&key, 1);
    return 0;
}

/* See biolatency.bpf.c: before 5.10.137 the queue is the first argument. */
SEC("tp_btf/block_rq_issue")
int block_io_issue(u64 *context)
{
    if (LINUX_KERNEL_VERSION >= KERNEL_VERSION(5, 10, 137))
        return issued((struct request *) context[0]);
    return issued((struct request *) context[1]);
}

SEC("tp_btf/block_rq_complete")
int BPF_PROG(block_io_complete, struct request *request, int error, unsigned int bytes)
{
    u64 request_key = (u64) request;
    struct request_key key, *found;

    /* A part is done, and the request goes on. */
    if (bytes < request->__data_len)
        return 0;
    found = bpf_map_lookup_elem(&requests, &request_key);
    /* It began before the program did. */
    if (!found)
        return 0;
    key = *found;
    bpf_map_delete_elem(&requests, &request_key);
    change_in_flight(&key, -1);
    return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
