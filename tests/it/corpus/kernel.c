/*
 * The kernel that `check` holds the corpus against: a few types and functions of Linux 5.15,
 * so that what is said of objects does not depend on the kernel that runs the tests.
 */

struct pair { int a, b; };
struct task_struct { int pid; int tgid; char comm[16]; struct pair nested[3]; int renamed; };
struct rq { int cpu; };
enum skb_drop_reason { SKB_NOT_DROPPED_YET, SKB_DROP_REASON_NOT_SPECIFIED, SKB_DROP_REASON_NO_SOCKET };
enum task_state { TASK_RUNNING, TASK_INTERRUPTIBLE, TASK_UNINTERRUPTIBLE };
enum bpf_map_type {
    BPF_MAP_TYPE_UNSPEC, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_PROG_ARRAY, BPF_MAP_TYPE_PERF_EVENT_ARRAY,
    BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_STACK_TRACE, BPF_MAP_TYPE_CGROUP_ARRAY,
    BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH, BPF_MAP_TYPE_LPM_TRIE, BPF_MAP_TYPE_ARRAY_OF_MAPS,
    BPF_MAP_TYPE_HASH_OF_MAPS, BPF_MAP_TYPE_DEVMAP, BPF_MAP_TYPE_SOCKMAP, BPF_MAP_TYPE_CPUMAP, BPF_MAP_TYPE_XSKMAP,
    BPF_MAP_TYPE_SOCKHASH, BPF_MAP_TYPE_CGROUP_STORAGE, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY,
    BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE, BPF_MAP_TYPE_QUEUE, BPF_MAP_TYPE_STACK, BPF_MAP_TYPE_SK_STORAGE,
    BPF_MAP_TYPE_DEVMAP_HASH, BPF_MAP_TYPE_STRUCT_OPS, BPF_MAP_TYPE_RINGBUF, BPF_MAP_TYPE_INODE_STORAGE,
    BPF_MAP_TYPE_TASK_STORAGE
};
enum bpf_prog_type {
    BPF_PROG_TYPE_SOCKET_FILTER = 1, BPF_PROG_TYPE_KPROBE, BPF_PROG_TYPE_SCHED_CLS, BPF_PROG_TYPE_SCHED_ACT,
    BPF_PROG_TYPE_TRACEPOINT, BPF_PROG_TYPE_XDP, BPF_PROG_TYPE_PERF_EVENT, BPF_PROG_TYPE_CGROUP_SKB,
    BPF_PROG_TYPE_RAW_TRACEPOINT = 17, BPF_PROG_TYPE_TRACING = 26, BPF_PROG_TYPE_LSM = 29
};
typedef void (*btf_trace_sched_switch)(void *, _Bool, struct task_struct *, struct task_struct *);
typedef void (*btf_trace_sched_wakeup)(void *, struct task_struct *);
typedef void (*btf_trace_sys_enter)(void *, void *, long);
typedef void (*btf_trace_sys_exit)(void *, void *, long);
typedef void (*btf_trace_block_rq_issue)(void *, void *);
typedef void (*btf_trace_block_rq_complete)(void *, void *, int, unsigned int);

/* What nothing uses has no BTF. */
struct rq runqueues __attribute__((section(".data..percpu")));
struct task_struct init_task;
enum skb_drop_reason reason;
enum task_state state;
enum bpf_map_type maps;
enum bpf_prog_type programs;
btf_trace_sched_switch sched_switch;
btf_trace_sched_wakeup sched_wakeup;
btf_trace_sys_enter sys_enter;
btf_trace_sys_exit sys_exit;
btf_trace_block_rq_issue block_rq_issue;
btf_trace_block_rq_complete block_rq_complete;

int tcp_sendmsg(void) { return 0; }
int do_unlinkat(void) { return 0; }
int bpf_lsm_file_open(void) { return 0; }
int bpf_iter_task(void) { return 0; }
int bpf_rcu_read_lock(void) { return 0; }
