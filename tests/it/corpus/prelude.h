/* What every test object starts with. */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

typedef __u8 u8; typedef __u16 u16; typedef __u32 u32; typedef __u64 u64;
typedef __s8 s8; typedef __s16 s16; typedef __s32 s32; typedef __s64 s64;

#define DECLARE_MAP(NAME, TYPE, ENTRIES, KEY, VALUE) struct { __uint(type, BPF_MAP_TYPE_##TYPE); \
    __uint(max_entries, ENTRIES); __type(key, KEY); __type(value, VALUE); } NAME SEC(".maps")

#ifndef LICENCE
#define LICENCE "Dual BSD/GPL"
#endif
char LICENSE[] SEC("license") = LICENCE;
