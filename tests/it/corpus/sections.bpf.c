/* Ways to attach, and kinds that have none here. */
#include "prelude.h"

DECLARE_MAP(m, ARRAY, 1, u32, u64);
SEC("kprobe/vfs_read") int a(void *ctx) { return 0; }
SEC("kretprobe.multi/tcp_*") int b(void *ctx) { return 0; }
SEC("uprobe//usr/lib/libc.so.6:malloc") int c(void *ctx) { return 0; }
SEC("usdt//usr/bin/python3:python:function__entry") int d(void *ctx) { return 0; }
SEC("fentry/tcp_sendmsg") int e(void *ctx) { return 0; }
SEC("fexit.s/do_unlinkat") int f(void *ctx) { return 0; }
SEC("lsm/file_open") int g(void *ctx) { return 0; }
SEC("iter/task") int h(void *ctx) { return 0; }
SEC("raw_tp/sched_switch") int i(void *ctx) { return 0; }
SEC("tp_btf/sched_switch") int j(void *ctx) { return 0; }
SEC("ksyscall/openat") int k(void *ctx) { return 0; }
SEC("xdp") int l(void *ctx) { return 2; }
SEC("tc") int n(void *ctx) { return 0; }
SEC("cgroup_skb/egress") int o(void *ctx) { return 1; }
SEC("kprobe") int q(void *ctx) { return 0; }
SEC("tracepoint/sched_switch") int r(void *ctx) { return 0; }
