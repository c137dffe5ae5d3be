/* Options, symbols, variables and functions of the kernel. */
#include "prelude.h"

struct rq { int cpu; };
DECLARE_MAP(m, ARRAY, 1, u32, u64);
extern int LINUX_KERNEL_VERSION __kconfig;
extern enum libbpf_tristate CONFIG_BPF_JIT __kconfig __weak;
extern char CONFIG_LOCALVERSION[8] __kconfig __weak;
extern _Bool CONFIG_MISSING __kconfig __weak;
extern const void jiffies __ksym;
extern const struct rq runqueues __ksym;
extern void bpf_rcu_read_lock(void) __ksym __weak;
SEC("tp/sched/sched_switch") int p(void *ctx) {
    if (bpf_rcu_read_lock) bpf_rcu_read_lock();
    struct rq *rq = bpf_per_cpu_ptr(&runqueues, 0);
    return LINUX_KERNEL_VERSION + (u64)&jiffies + CONFIG_MISSING + CONFIG_LOCALVERSION[1] + CONFIG_BPF_JIT + (rq ? rq->cpu : 0);
}
