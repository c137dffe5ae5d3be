/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The few members of kernel types that the programs here read.
 *
 * A whole vmlinux.h is 3 MB and belongs to one kernel. CO-RE needs only the
 * members that are named: libbpf finds each one's real offset in the running
 * kernel's BTF when the object is loaded. Order, neighbours and size are of no
 * interest; names and kinds are. What follows `___` in a type's name is a
 * flavour: libbpf ignores it, so that two shapes of one type can stand here.
 */
#ifndef BPFTALLY_KERNEL_TYPES_BPF_H
#define BPFTALLY_KERNEL_TYPES_BPF_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
    int counter;
} atomic_t;

/* Control groups: the id is the inode of the directory in the v2 hierarchy. */

struct kernfs_node {
    u64 id;
};

struct cgroup {
    struct kernfs_node *kn;
};

struct css_set {
    struct cgroup *dfl_cgrp;
};

/* The run queue of one CPU, and the way to it from a task. */

struct rq {
    unsigned int nr_running;
};

struct cfs_rq {
    struct rq *rq;
};

struct sched_entity {
    struct cfs_rq *cfs_rq;
};

/* Tasks. */

struct thread_info {
    unsigned long flags;
};

/* x86 has a second word, in which TS_COMPAT lives. */
struct thread_info___x86 {
    u32 status;
};

struct signal_struct {
    atomic_t live;
    int group_exit_code;
    unsigned int flags;
};

struct task_struct {
    struct thread_info thread_info;
    struct sched_entity se;
    unsigned int flags;
    unsigned int __state;
    int pid;
    int tgid;
    int exit_code;
    u64 start_time;
    struct task_struct *group_leader;
    struct signal_struct *signal;
    struct css_set *cgroups;
};

/* Before Linux 5.14. */
struct task_struct___state {
    long state;
};

struct task_struct___x86 {
    struct thread_info___x86 thread_info;
};

/* Since Linux 6.16 the tracepoint says itself whether the last thread ends. */
struct trace_event_raw_sched_process_exit {
    bool group_dead;
};

/* System calls: where each architecture keeps the number until the exit. */

struct pt_regs___x86 {
    unsigned long orig_ax;
};

struct pt_regs___arm64 {
    s32 syscallno;
};

struct pt_regs;

/* Block devices. */

struct gendisk {
    int major;
    int first_minor;
};

struct request_queue {
    struct gendisk *disk;
};

struct request {
    struct request_queue *q;
    unsigned int cmd_flags;
    unsigned int __data_len;
};

/* Before Linux 5.17. */
struct request___rq_disk {
    struct gendisk *rq_disk;
};

/* Sockets. */

struct in6_addr {
    u8 bytes[16];
};

struct sock_common {
    u16 skc_family;
    u16 skc_dport;
    u32 skc_daddr;
    struct in6_addr skc_v6_daddr;
};

struct sock {
    struct sock_common __sk_common;
    int sk_err;
    u16 sk_protocol;
};

#pragma clang attribute pop

#endif
