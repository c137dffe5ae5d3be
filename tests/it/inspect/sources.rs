//! Objects to inspect, each for one thing that C and libbpf can say.

/// All of them by the name of their golden page.
pub const ALL: &[(&str, &str)] = &[
    ("layouts", LAYOUTS),
    ("per-cpu", PER_CPU),
    ("map-in-map", MAP_IN_MAP),
    ("buffers", BUFFERS),
    ("lpm", LPM),
    ("flags", FLAGS),
    ("globals", GLOBALS),
    ("optional", OPTIONAL),
    ("sections", SECTIONS),
    ("functions", FUNCTIONS),
    ("core", CORE),
    ("wishes", WISHES),
    ("instructions", INSTRUCTIONS),
    ("refused", REFUSED),
    ("no-metrics", NO_METRICS),
    ("large", LARGE),
];

/// Bit-fields, packing, unions, anonymous and nested members, arrays, padding.
pub const LAYOUTS: &str = r#"
enum kind { KIND_A, KIND_B = 7 };
struct pair { u16 a; u8 b; };
struct nested {
    u8 first;
    struct { u32 low : 3; int high : 7; u32 : 6; u32 rest : 16; } inner;
    union { u32 v4; u8 v6[16]; };
    struct pair pairs[2];
    enum kind kind;
    char comm[16];
    _Bool last;
};
struct packed { u8 a; u64 b; u16 c; } __attribute__((packed));
typedef struct { s64 signed_one; void *pointer; u32 matrix[2][3]; } typedefed;
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, struct nested); __type(value, u64); } nested SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, struct packed); __type(value, typedefed); } packed SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 64); __uint(key_size, 12); __uint(value_size, 8); } untyped SEC(".maps");
SEC("tp/sched/sched_switch") int p(void *ctx) { return 0; }
"#;

/// Values of their own for each CPU.
pub const PER_CPU: &str = r#"
struct traffic { u64 packets; u64 bytes; u32 slots[26]; };
struct { __uint(type, BPF_MAP_TYPE_PERCPU_HASH); __uint(max_entries, 1024); __type(key, u32); __type(value, struct traffic); } by_interface SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64[27]); } slots SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH); __uint(max_entries, 64); __type(key, u64); __type(value, s32); } lru SEC(".maps");
SEC("raw_tp/sys_enter") int p(void *ctx) { u32 zero = 0; return bpf_map_lookup_elem(&slots, &zero) != 0; }
"#;

/// Maps of maps.
pub const MAP_IN_MAP: &str = r#"
struct inner_t { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 3); __type(key, u32); __type(value, u64); };
struct inner_t one SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 2); __type(key, u32); __array(values, struct inner_t); }
    outer SEC(".maps") = { .values = { &one } };
struct { __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS); __uint(max_entries, 2); __type(key, u64); __array(values, struct inner_t); } by_cgroup SEC(".maps");
SEC("tp/sched/sched_switch") int p(void *ctx) { return 0; }
"#;

/// What is not read key by key.
pub const BUFFERS: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 20); } events SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); __uint(key_size, 4); __uint(value_size, 4); } perf SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_STACK_TRACE); __uint(max_entries, 16); __uint(key_size, 4); __uint(value_size, 1016); } stacks SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_PROG_ARRAY); __uint(max_entries, 2); __uint(key_size, 4); __array(values, int (void *)); } calls SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_QUEUE); __uint(max_entries, 9); __type(value, u64); } queue SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } counted SEC(".maps");
SEC("perf_event/type=1,config=0,frequency=99") int p(void *ctx) {
    u64 *slot = bpf_ringbuf_reserve(&events, 8, 0);
    if (slot) bpf_ringbuf_submit(slot, 0);
    return bpf_get_stackid(ctx, &stacks, 0);
}
"#;

/// Longest prefixes.
pub const LPM: &str = r#"
struct prefix { u32 length; u8 address[16]; };
struct { __uint(type, BPF_MAP_TYPE_LPM_TRIE); __uint(max_entries, 100); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, struct prefix); __type(value, u64); } networks SEC(".maps");
SEC("xdp/eth0") int p(void *ctx) { struct prefix key = {.length = 128}; return bpf_map_lookup_elem(&networks, &key) ? 1 : 2; }
"#;

/// Flags, pinning, NUMA nodes.
pub const FLAGS: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 5); __uint(numa_node, 0); __uint(map_flags, BPF_F_NUMA_NODE); __uint(pinning, LIBBPF_PIN_BY_NAME); __type(key, int); __type(value, long); } pinned SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 500); __uint(map_flags, BPF_F_MMAPABLE | BPF_F_RDONLY_PROG); __type(key, u32); __type(value, u32); } mapped SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1000); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, u32); __type(value, u32); } sparse SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_BLOOM_FILTER); __uint(max_entries, 100); __uint(map_extra, 3); __type(value, u32); } bloom SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_TASK_STORAGE); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, int); __type(value, u64); } per_task SEC(".maps");
SEC("tp/sched/sched_switch") int p(void *ctx) { return 0; }
"#;

/// Variables of every type with and without values.
pub const GLOBALS: &str = r#"
enum colour { RED = 1, GREEN = 5, };
struct settings { u32 rate; char label[8]; u8 low : 4; s8 high : 4; struct { u16 a; u16 b; } nested; };
union either { u32 number; u8 octets[4]; };
const volatile u32 limit = 7;
const volatile s16 negative = -5;
const volatile u64 huge = ~0ULL;
const volatile _Bool enabled = 1;
const volatile double ratio = 1.5;
const volatile float half = 0.5f;
const volatile char greeting[16] = "hello";
const volatile char letter = 'a';
const volatile enum colour colour = GREEN;
const volatile u32 table[4] = {1, 2, 3};
const volatile struct settings settings = {100, "x", 5, -1, {1, 2}};
const volatile union either either = {0x01020304};
const volatile u8 raw[3] = {1, 0, 255};
const volatile struct settings several[2] = {{1, "one"}, {2, "two, which is the last"}};
u32 started = 5;
u64 counted = 0;
u64 nothing[3];
void *pointer;
static volatile u32 hidden = 3;
u64 elsewhere SEC(".data.settings") = 4;
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } m SEC(".maps");
SEC("tp/sched/sched_switch") int p(void *ctx) {
    hidden++; counted += limit + negative + huge + enabled + table[1] + settings.rate + raw[1] + letter + either.number;
    return greeting[1] + colour + started + nothing[1] + elsewhere + several[1].rate + (pointer != 0);
}
"#;

/// Several programs in one section, some of them switched off.
pub const OPTIONAL: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, u64); } hits SEC(".maps");
SEC("tp/sched/sched_switch") int one(void *ctx) { u32 key = 1; return bpf_map_lookup_elem(&hits, &key) != 0; }
SEC("tp/sched/sched_switch") int two(void *ctx) { return bpf_get_current_pid_tgid() == 7; }
SEC("?tp/sched/sched_wakeup") int optional(void *ctx) { return bpf_jiffies64() == 7; }
SEC("?fentry/tcp_sendmsg") int traced(void *ctx) { return 0; }
"#;

/// Ways to attach, and kinds that have none here.
pub const SECTIONS: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } m SEC(".maps");
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
"#;

/// Functions that programs share.
pub const FUNCTIONS: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 8); __type(key, u32); __type(value, u64); } hits SEC(".maps");
static __attribute__((noinline)) u64 shared(u32 key) { u64 *v = bpf_map_lookup_elem(&hits, &key); return v ? *v : bpf_ktime_get_ns(); }
__attribute__((noinline)) int global(u32 key) { return bpf_get_prandom_u32() + shared(key) + key; }
static long each(u32 index, void *ctx) { return bpf_get_smp_processor_id() == index; }
SEC("tp/sched/sched_switch") int caller(void *ctx) { static long (*loop)(u32, void *, void *, u64) = (void *)181; return loop(3, each, 0, 0) + global(2); }
SEC("tp/sched/sched_wakeup") int alone(void *ctx) { return bpf_get_current_pid_tgid() == 7; }
"#;

/// Every way to ask the kernel's types.
pub const CORE: &str = r#"
struct pair { int a, b; } __attribute__((preserve_access_index));
struct task_struct { int pid; char comm[16]; struct pair nested[3]; union { int renamed; }; } __attribute__((preserve_access_index));
struct task_struct___old { long state; } __attribute__((preserve_access_index));
enum skb_drop_reason { SKB_DROP_REASON_NO_SOCKET = 3 };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } m SEC(".maps");
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
"#;

/// Options, symbols, variables and functions of the kernel.
pub const WISHES: &str = r#"
struct rq { int cpu; };
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } m SEC(".maps");
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
"#;

/// What old verifiers do not know.
pub const INSTRUCTIONS: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } m SEC(".maps");
SEC("tp/sched/sched_switch") int adds(void *ctx) { u32 k = 0; u64 *v = bpf_map_lookup_elem(&m, &k); if (v) __sync_fetch_and_add(v, 1); return 0; }
SEC("tp/sched/sched_switch") int exchanges(void *ctx) { u32 k = 0; u64 *v = bpf_map_lookup_elem(&m, &k); return v ? __sync_val_compare_and_swap(v, 1, 2) : 0; }
SEC("tp/sched/sched_switch") int compares(u32 *ctx) { return ctx[1] == 5; }
"#;

/// One of each thing that libbpf or the kernel refuses, or that is not what it seems.
pub const REFUSED: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_HASH); __type(key, u32); __type(value, u64); } empty SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_LPM_TRIE); __uint(max_entries, 9); __type(key, u64); __type(value, u64); } trie SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_LRU_HASH); __uint(max_entries, 9); __uint(map_flags, BPF_F_NO_PREALLOC); __type(key, u64); __type(value, u64); } lru SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 9); __type(key, u64); __type(value, u64); } keys SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_TASK_STORAGE); __uint(max_entries, 9); __type(key, int); __type(value, u64); } per_task SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 9); __uint(key_size, 4); } no_value SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 9); __type(key, u32); __type(value, u64); } requests_by_client_total SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 9); __type(key, u32); __type(value, u64); } requests_by_code SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 9); __type(key, u32); __type(value, u64); } requests_by_client_errors SEC(".maps");
SEC("kprobes/vfs_read") int unknown(void *ctx) { return 0; }
SEC("?nonsense") int unknown_and_off(void *ctx) { return 0; }
SEC("fentry") int no_target(void *ctx) { return 0; }
SEC("tracepoint/sched_switch") int half(void *ctx) { return 0; }
"#;

/// Nothing to publish.
pub const NO_METRICS: &str = r#"
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } events SEC(".maps");
SEC("tp/sched/sched_switch") int p(void *ctx) { return 0; }
"#;

/// More than a page can show.
pub const LARGE: &str = r#"
struct row { u32 a_rather_long_name_of_a_member_that_somebody_chose_long_ago; u32 another[31]; };
struct huge { struct row rows[4]; struct { u8 a, b, c, d; } many[20]; };
const volatile u32 numbers[100] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26};
const volatile char path[100] = "/var/lib/somewhere/far/below/in/a/folder/with/a/rather/long/name/of/its/own";
u64 zeros[1 << 20];
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 1000000); __type(key, struct huge); __type(value, u64[512]); } a_map_with_a_rather_long_name_of_its_own_that_somebody_chose SEC(".maps");
SEC("tp/sched/sched_switch") int a_program_with_a_rather_long_name_of_its_own_that_somebody_chose(void *ctx) { return path[3] + numbers[7] + zeros[9]; }
"#;
