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

struct cgroup_subsys_state {
    struct cgroup *cgroup;
};

/* The run queue of one CPU, and the way to it from a task. */

struct rq {
    unsigned int nr_running;
    u64 clock;
};

/* What a control group has of its CPU controller. */
struct task_group {
    struct cgroup_subsys_state css;
};

struct cfs_rq {
    struct rq *rq;
    struct task_group *tg;
    u64 throttled_clock;
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
    unsigned long di, si;
    unsigned long ax;
};

struct pt_regs___arm64 {
    s32 syscallno;
    u64 regs[31];
    u64 orig_x0;
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

/* Handlers of interrupts. */

struct irqaction {
    const char *name;
};

/* Since Linux 6.8 the tracepoint tells the victim itself, and its user; before that only its pid. */
struct trace_event_raw_mark_victim {
    u32 uid;
};

/* Files in memory. */

struct super_block {
    u32 s_dev;
};

struct inode {
    unsigned short i_mode;
    u32 i_rdev;
    struct super_block *i_sb;
};

struct address_space {
    struct inode *host;
};

struct page {
    unsigned long flags;
    struct address_space *mapping;
};

/* Before Linux 6.2 the second page of a large one has its order. */
struct page___tail {
    unsigned char compound_order;
};

/* Since Linux 5.16. */
struct folio {
    unsigned long flags;
    struct address_space *mapping;
};

/* From Linux 6.2 to 6.5. */
struct folio___order {
    unsigned char _folio_order;
};

/* Since Linux 6.6: the low 8 bits are the order. */
struct folio___flags_1 {
    unsigned long _flags_1;
};

/* Since Linux 6.18. */
typedef struct {
    unsigned long f;
} memdesc_flags_t___6_18;

struct folio___memdesc {
    memdesc_flags_t___6_18 flags;
};

#pragma clang attribute pop

/* Numbers of the kernel that move: libbpf fills in those of the one that runs. */
enum pageflags {
    PG_head = 6,
    PG_swapbacked = 17,
};

#endif
