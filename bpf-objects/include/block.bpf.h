/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What programs ask of a block request that they are given. */
#ifndef BPFTALLY_BLOCK_BPF_H
#define BPFTALLY_BLOCK_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "devices.bpf.h"

/* The low 8 bits of a request's flags are the operation. */
#define REQ_OP_MASK 0xff

/*
 * The kernel's numbers that are the same since Linux 4.8. Zone operations were
 * renumbered since, and passthrough commands (numbers from 34 up) mean what
 * their driver wants: they are one operation here. The names are the labels'.
 */
enum block_operation {
    OPERATION_READ = 0,
    OPERATION_WRITE = 1,
    OPERATION_FLUSH = 2,
    OPERATION_DISCARD = 3,
    OPERATION_SECURE_ERASE = 5,
    OPERATION_WRITE_ZEROES = 9,
    OPERATION_OTHER = 255,
};

static __always_inline struct gendisk *disk_of(struct request *request)
{
    struct request___rq_disk *older = (void *) request;

    if (bpf_core_field_exists(older->rq_disk))
        return older->rq_disk;
    return request->q->disk;
}

static __always_inline enum block_operation operation_of(struct request *request)
{
    u32 operation = request->cmd_flags & REQ_OP_MASK;

    if (operation <= OPERATION_SECURE_ERASE || operation == OPERATION_WRITE_ZEROES)
        return operation;
    return OPERATION_OTHER;
}

static __always_inline u32 device_of_disk(const struct gendisk *disk)
{
    return user_device(disk->major, disk->first_minor);
}

#endif
