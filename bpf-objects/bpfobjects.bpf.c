// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * All BPF programs and maps of the machine, whoever loaded them: what each
 * program ran and took, and what each has of memory.
 *
 * By iterators, which run when somebody asks, through all objects at once, and
 * cost nothing in between.
 */
#include "include/kernel_types.bpf.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define PAGE_SIZE 4096
#define NAME_BYTES 16

/* Programs and maps that are shown; a node with a network of BPF has some hundreds. */
#define MOST 2048
/* What is gone is forgotten in steps that are short for the verifier: at each object that is there, and at the end. */
#define FORGOTTEN_AT_ONCE 8
#define FORGOTTEN_AT_THE_END 128
/* What runs on CPUs above is not counted; hardly a machine has more. */
#define MOST_CPUS 512

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct bpf_iter_meta {
    u64 session_id;
    u64 seq_num;
};

struct counter {
    u64 v;
};

struct bpf_prog_stats {
    struct counter cnt;
    struct counter nsecs;
    struct counter misses;
};

/* Before Linux 5.16. */
struct bpf_prog_stats___plain {
    u64 cnt;
    u64 nsecs;
    u64 misses;
};

struct bpf_prog_aux {
    u32 id;
    char name[NAME_BYTES];
};

/* Before Linux 5.12. */
struct bpf_prog_aux___stats {
    struct bpf_prog_stats *stats;
};

struct bpf_prog {
    u16 pages;
    enum bpf_prog_type type;
    u32 jited_len;
    struct bpf_prog_stats *stats;
    struct bpf_prog_aux *aux;
};

struct bpf_map {
    enum bpf_map_type map_type;
    u32 key_size;
    u32 value_size;
    u32 max_entries;
    u32 id;
    char name[NAME_BYTES];
};

/* What a map with a value for each CPU has of its first entry: the address without a CPU. */
struct bpf_array {
    void *pptrs[1];
};

struct bpf_iter__bpf_prog {
    struct bpf_iter_meta *meta;
    struct bpf_prog *prog;
};

struct bpf_iter__bpf_map {
    struct bpf_iter_meta *meta;
    struct bpf_map *map;
};

#pragma clang attribute pop

/* How far apart what CPUs have lies, and how many there may be: addresses that not every kernel tells. */
extern const void __per_cpu_offset __ksym __weak;
extern const void nr_cpu_ids __ksym __weak;

struct object_key {
    u32 id;
    u32 type;
    char name[NAME_BYTES];
};

struct program {
    u64 session;
    u64 runs;
    u64 nanoseconds;
    u64 misses;
    u64 jited_bytes;
    u64 bytes;
};

struct map {
    u64 session;
    u64 entries;
    u64 bytes;
};

/* An iterator writes alone, in one pass after another: nothing is shared between CPUs. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, MOST);
    __type(key, struct object_key);
    __type(value, struct program);
} bpf_programs SEC(".maps");

/* The same. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, MOST);
    __type(key, struct object_key);
    __type(value, struct map);
} bpf_maps SEC(".maps");

/*
 * What was found in this pass and in the one before, in a half each and by rising
 * numbers: what the one before had and this one has not is gone, and leaves its
 * map. 96 KiB each.
 */
struct passes {
    u32 half;
    u32 lengths[2];
    /* How much of the one before was looked at. */
    u32 seen;
    struct object_key found[2 * MOST];
};

struct passes passes_of_programs, passes_of_maps;

/* One of a half. The verifier is shown that it is none beyond them. */
static __always_inline struct object_key *found(struct passes *passes, u64 half, u64 at)
{
    u64 index = (half & 1) * MOST + at;

    barrier_var(index);
    return &passes->found[index & (2 * MOST - 1)];
}

/* Forgets some of the pass before that are not in this one; of those, what this one is past, or at its end all. */
static __always_inline void forget(void *map, struct passes *passes, u64 session, u32 number, u32 most)
{
    u32 half = !(passes->half & 1), length = passes->lengths[half];
    struct object_key *key;
    u64 *value;

    for (u32 i = 0; i < most; i++) {
        if (passes->seen >= length)
            break;
        key = found(passes, half, passes->seen);
        if (key->id >= number)
            break;
        passes->seen += 1;
        /* The session is the first member of each value. */
        value = bpf_map_lookup_elem(map, key);
        if (value && *value != session)
            bpf_map_delete_elem(map, key);
    }
}

static __always_inline void note(void *map, struct passes *passes, u64 session, u64 at, const struct object_key *key)
{
    /*
     * The first one of a pass; there is one, because this program and its maps are among all. What is left of
     * the pass before the last is looked at further, while this one takes the last one's place.
     */
    if (!at && passes->seen >= passes->lengths[!(passes->half & 1)]) {
        passes->half ^= 1;
        passes->seen = 0;
    }
    if (at >= MOST)
        return;
    *found(passes, passes->half, at) = *key;
    passes->lengths[passes->half & 1] = at + 1;
    forget(map, passes, session, key->id, FORGOTTEN_AT_ONCE);
}

/* Something that each CPU has, to learn how far apart what they have lies. */
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, u64);
} of_each_cpu SEC(".maps");

volatile u64 number;

/* An address that is no pointer any more, which the verifier would want to be one of something. */
static __always_inline u64 as_number(const void *pointer)
{
    number = (u64) pointer;
    return number;
}

/* From the address of what each CPU has to that of one CPU's; since Linux 5.19. */
static __always_inline bool distance_by_map(u32 cpu, u64 *distance)
{
    struct bpf_array *array;
    u64 base = 0;
    u32 zero = 0;
    u64 *value = bpf_map_lookup_percpu_elem(&of_each_cpu, &zero, cpu);

    if (!value)
        return false;
    array = (void *) as_number(&of_each_cpu);
    bpf_core_read(&base, sizeof(base), &array->pptrs[0]);
    *distance = as_number(value) - base;
    return true;
}

/* CPUs that there may be, by variables of the kernel; 0 when it does not tell where they are. */
static __always_inline u32 cpus_by_symbol(void)
{
    u32 cpus = 0;

    if (&__per_cpu_offset && &nr_cpu_ids)
        bpf_probe_read_kernel(&cpus, sizeof(cpus), &nr_cpu_ids);
    return cpus;
}

static __always_inline bool distance_by_symbol(u32 cpu, u64 *distance)
{
    const u64 *distances = (const void *) &__per_cpu_offset;

    return bpf_probe_read_kernel(distance, sizeof(*distance), &distances[cpu]) == 0;
}

/* Each is 64 bits, whatever the kernel wraps them in. */
#define COUNT(field)                                         \
    ({                                                       \
        u64 count = 0;                                       \
        bpf_core_read(&count, sizeof(count), &(field));      \
        count;                                               \
    })

static __always_inline void add_statistics(struct program *program, u64 address)
{
    struct bpf_prog_stats___plain *plain = (void *) address;
    struct bpf_prog_stats *statistics = (void *) address;

    if (bpf_core_field_exists(statistics->cnt)) {
        program->runs += COUNT(statistics->cnt);
        program->nanoseconds += COUNT(statistics->nsecs);
    } else {
        program->runs += COUNT(plain->cnt);
        program->nanoseconds += COUNT(plain->nsecs);
    }
    /* Since Linux 5.12. */
    if (bpf_core_field_exists(statistics->misses))
        program->misses += COUNT(statistics->misses);
    else if (bpf_core_field_exists(plain->misses))
        program->misses += COUNT(plain->misses);
}

static __always_inline u64 statistics_of(struct bpf_prog *program)
{
    struct bpf_prog_aux___stats *older = (void *) BPF_CORE_READ(program, aux);
    u64 statistics = 0;

    if (bpf_core_field_exists(program->stats))
        bpf_core_read(&statistics, sizeof(statistics), &program->stats);
    else if (bpf_core_field_exists(older->stats))
        bpf_core_read(&statistics, sizeof(statistics), &older->stats);
    return statistics;
}

static __always_inline int program_found(struct bpf_iter__bpf_prog *context, bool by_symbol)
{
    struct bpf_prog *kernel = context->prog;
    u64 session = context->meta->session_id, at = context->meta->seq_num, statistics, distance;
    u32 cpus = by_symbol ? cpus_by_symbol() : MOST_CPUS;
    struct object_key key = {};
    struct program program = {};

    /* First of all what a kernel may refuse: it takes long for the rest. */
    if (!by_symbol && !distance_by_map(0, &distance))
        return 0;
    if (!kernel) {
        forget(&bpf_programs, &passes_of_programs, session, -1, FORGOTTEN_AT_THE_END);
        return 0;
    }
    /* Nothing is said rather than that it never ran. */
    if (!cpus)
        return 0;
    key.id = BPF_CORE_READ(kernel, aux, id);
    key.type = kernel->type;
    BPF_CORE_READ_STR_INTO(&key.name, kernel, aux, name);
    program.session = session;
    program.jited_bytes = kernel->jited_len;
    program.bytes = (u64) kernel->pages * PAGE_SIZE;
    statistics = statistics_of(kernel);
    for (u32 cpu = 0; cpu < MOST_CPUS; cpu++) {
        if (cpu >= cpus || !(by_symbol ? distance_by_symbol(cpu, &distance) : distance_by_map(cpu, &distance)))
            break;
        add_statistics(&program, statistics + distance);
    }
    note(&bpf_programs, &passes_of_programs, session, at, &key);
    bpf_map_update_elem(&bpf_programs, &key, &program, BPF_ANY);
    return 0;
}

SEC("?iter/bpf_prog")
int each_program(struct bpf_iter__bpf_prog *context)
{
    return program_found(context, false);
}

SEC("?iter/bpf_prog")
int each_program_older(struct bpf_iter__bpf_prog *context)
{
    return program_found(context, true);
}

/* CPUs that there may be. */
static __always_inline u64 cpus_by_map(void)
{
    u32 zero = 0, cpus = 0;

    while (cpus < MOST_CPUS && bpf_map_lookup_percpu_elem(&of_each_cpu, &zero, cpus))
        cpus++;
    return cpus;
}

static __always_inline bool is_percpu(enum bpf_map_type type)
{
    return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
           type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

static __always_inline int map_found(struct bpf_iter__bpf_map *context, bool by_symbol)
{
    u64 session = context->meta->session_id, at = context->meta->seq_num, value_bytes, cpus, distance;
    struct bpf_map *kernel = context->map;
    struct object_key key = {};
    struct map map = {};

    if (!by_symbol && !distance_by_map(0, &distance))
        return 0;
    if (!kernel) {
        forget(&bpf_maps, &passes_of_maps, session, -1, FORGOTTEN_AT_THE_END);
        return 0;
    }
    key.id = kernel->id;
    key.type = kernel->map_type;
    BPF_CORE_READ_STR_INTO(&key.name, kernel, name);
    map.session = session;
    map.entries = kernel->max_entries;
    value_bytes = kernel->value_size;
    if (is_percpu(kernel->map_type)) {
        cpus = by_symbol ? cpus_by_symbol() : cpus_by_map();
        if (!cpus)
            return 0;
        value_bytes = ((value_bytes + 7) & ~7ULL) * cpus;
    }
    map.bytes = map.entries * (kernel->key_size + value_bytes);
    /* Of a ring the capacity is in bytes, and nothing else is said of it. */
    if (kernel->map_type == BPF_MAP_TYPE_RINGBUF || kernel->map_type == BPF_MAP_TYPE_USER_RINGBUF)
        map.bytes = map.entries;
    note(&bpf_maps, &passes_of_maps, session, at, &key);
    bpf_map_update_elem(&bpf_maps, &key, &map, BPF_ANY);
    return 0;
}

SEC("?iter/bpf_map")
int each_map(struct bpf_iter__bpf_map *context)
{
    return map_found(context, false);
}

SEC("?iter/bpf_map")
int each_map_older(struct bpf_iter__bpf_map *context)
{
    return map_found(context, true);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
