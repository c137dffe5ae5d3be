/* Several programs in one section, some of them switched off. */
#include "prelude.h"

DECLARE_MAP(hits, HASH, 8, u32, u64);
SEC("tp/sched/sched_switch") int one(void *ctx) { u32 key = 1; return bpf_map_lookup_elem(&hits, &key) != 0; }
SEC("tp/sched/sched_switch") int two(void *ctx) { return bpf_get_current_pid_tgid() == 7; }
SEC("?tp/sched/sched_wakeup") int optional(void *ctx) { return bpf_jiffies64() == 7; }
SEC("?fentry/tcp_sendmsg") int traced(void *ctx) { return 0; }
