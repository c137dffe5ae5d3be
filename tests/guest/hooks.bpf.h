/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A program for each kind of hook that the exporter attaches. A config enables one of them, gives it
 * the number that its count stands under, and gives it a place where its section has none. What each
 * one counts is what called.c does, and nothing else that happens in a guest.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;

#include "counted.bpf.h"
#include "called.h"

#define COUNTED(section, name, type, condition, result) \
    SEC("?" section)                                    \
    int on_##name(type *context)                        \
    {                                                   \
        if (condition)                                  \
            count(0);                                   \
        return result;                                  \
    }

#define ALWAYS 1

/* Packets of IPv4 with a length that no other has, as a control group and an interface see them. */
#define OF_LENGTH(length) (context->protocol == bpf_htons(0x0800) && context->len == (length))
#define LAYER_3 (IPV4_HEADERS + PAYLOAD)
#define LAYER_2 (14 + LAYER_3)
