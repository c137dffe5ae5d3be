// The object that the targets `config` and `object` hold their inputs against: a little of
// everything that a layout, a variable and a relocation can be. `fuzz/seeds/compile.sh` compiles it.
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define MAP(name, kind, entries, key_type, value_type) \
    struct { __uint(type, BPF_MAP_TYPE_##kind); __uint(max_entries, entries); \
             __type(key, key_type); __type(value, value_type); } name SEC(".maps")

enum state { STATE_IDLE, STATE_BUSY, STATE_GONE = -1 };
enum flags { FLAG_LOW = 1, FLAG_HIGH = 0x80000000 };

struct address {
    union {
        u32 v4;
        u8 v6[16];
    };
    u16 family;
    u16 port;
};

struct key {
    u64 cgroup_id;
    u32 ifindex;
    s32 errno;
    enum state state;
    u32 kind : 3;
    u32 retries : 29;
    char comm[16];
    struct address peers[2];
    u8 mac[6];
    u8 pad[2];
};

struct __attribute__((packed)) tight {
    u8 proto;
    u64 wide;
    s32 slot;
};

struct traffic {
    u64 packets;
    u64 bytes;
    double ratio;
    _Bool seen;
};

struct latency {
    u64 total_us;
    u64 count;
    u32 slots[27];
};

struct settings {
    u32 limit;
    enum flags flags;
    char name[8];
    struct { u16 low, high; } range[2];
};

MAP(traffic, PERCPU_HASH, 1024, struct key, struct traffic);
MAP(latency, HASH, 64, u32, struct latency);
MAP(sizes_seconds, LRU_HASH, 4096, struct tight, u64);
MAP(hist_depth, ARRAY, 32, u32, s64);
MAP(states_total, PERCPU_ARRAY, 8, enum state, u32);
MAP(names, HASH, 8, char[16], u64);
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 16); __uint(key_size, 12); __uint(value_size, 8); }
    untyped SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4096); } events SEC(".maps");
struct inner { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 3); __type(key, u32); __type(value, u64); };
struct { __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS); __uint(max_entries, 2); __type(key, u32); __array(values, struct inner); }
    outer SEC(".maps");

const volatile u64 min_ns = 1000;
const volatile struct settings settings = { .limit = 7, .flags = FLAG_HIGH, .name = "name" };
const volatile u64 kaddr_jiffies = 0;
const volatile float factor = 1.5;
volatile s32 counts[4] = { 1, 2 };
volatile u64 zeros[16];
extern int CONFIG_HZ __kconfig;
extern void bpf_rcu_read_lock(void) __ksym __weak;

struct task_struct___old {
    int pid;
    struct { u64 sum; } times[2];
} __attribute__((preserve_access_index));

static __attribute__((noinline)) u64 elapsed(u32 key)
{
    struct latency *found = bpf_map_lookup_elem(&latency, &key);
    return found ? found->total_us : bpf_ktime_get_ns();
}

SEC("raw_tp/sched_switch") int first(u64 *ctx)
{
    struct task_struct___old *task = (void *)ctx[1];
    return elapsed(BPF_CORE_READ(task, pid)) > min_ns + BPF_CORE_READ(task, times[1].sum);
}

SEC("?kprobe/do_exit") int second(void *ctx)
{
    zeros[3] += settings.limit + counts[1] + kaddr_jiffies + *(volatile u32 *)&factor + CONFIG_HZ;
    if (bpf_rcu_read_lock)
        bpf_rcu_read_lock();
    return bpf_core_enum_value_exists(enum state, STATE_BUSY) + bpf_get_smp_processor_id();
}
