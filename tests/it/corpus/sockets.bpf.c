/* Connections by address and family, with bytes both ways: tcptop and its like. */
#include "prelude.h"

struct ipv4_key { u32 pid; char name[16]; u32 saddr; u32 daddr; u16 lport; __be16 dport; };
struct any_key { u16 family; __be16 dport; union { __be32 saddr_v4; u8 saddr_v6[16]; }; union { u32 daddr_v4; struct { u64 hi, lo; } daddr_v6; }; };
struct bytes { u64 received, sent; };
DECLARE_MAP(ipv4_send_bytes, HASH, 1024, struct ipv4_key, u64);
DECLARE_MAP(connections, HASH, 1024, struct any_key, struct bytes);
SEC("kprobe/tcp_sendmsg") int sends(void *ctx) { return 0; }
