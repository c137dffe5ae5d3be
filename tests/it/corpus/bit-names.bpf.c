/* Bit-fields with the names of what is otherwise an address, a device or a port. */
#include "prelude.h"

struct key {
    u64 mac : 48;
    u64 cgroup_id : 60;
    u32 saddr : 31;
    u32 dev : 20;
    u32 ifindex : 24;
    u16 port : 15;
    u32 family : 7, proto : 8, errno : 12, uid : 20;
    enum { OFF, ON } state : 2;
};
DECLARE_MAP(packets, HASH, 64, struct key, u64);
SEC("raw_tp/sys_enter") int probe(void *ctx) { return 0; }
