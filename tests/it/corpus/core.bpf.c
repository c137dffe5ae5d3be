/* Every way to ask the kernel's types. */
#include "prelude.h"

struct pair { int a, b; } __attribute__((preserve_access_index));
struct task_struct { int pid; char comm[16]; struct pair nested[3]; union { int renamed; }; } __attribute__((preserve_access_index));
struct task_struct___old { long state; } __attribute__((preserve_access_index));
enum skb_drop_reason { SKB_DROP_REASON_NO_SOCKET = 3 };
DECLARE_MAP(m, ARRAY, 1, u32, u64);
SEC("raw_tp/sched_switch") int reads(u64 *ctx) {
    struct task_struct *t = (void *)ctx[1];
    return BPF_CORE_READ(t, pid) + BPF_CORE_READ(t, nested[1].b) + BPF_CORE_READ(t, renamed);
}
SEC("raw_tp/sched_wakeup") int asks(u64 *ctx) {
    struct task_struct *t = (void *)ctx[0];
    struct task_struct___old *old = (void *)t;
    int sum = bpf_core_field_size(t->comm) + bpf_core_type_size(struct task_struct) + bpf_core_type_id_kernel(struct task_struct);
    if (bpf_core_field_exists(old->state)) sum++;
    if (bpf_core_type_exists(struct task_struct___old)) sum += 2;
    if (bpf_core_enum_value_exists(enum skb_drop_reason, SKB_DROP_REASON_NO_SOCKET)) sum += 4;
    return sum + bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_NO_SOCKET);
}
