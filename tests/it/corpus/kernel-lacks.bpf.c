/* What the kernel of these tests does not have: members, types, enumerators, functions, tracepoints. */
#include "prelude.h"

struct task_struct { int pid; int no_such_member; } __attribute__((preserve_access_index));
struct no_such_struct { int a; } __attribute__((preserve_access_index));
enum task_state___new { TASK_NO_SUCH = 9 };
extern int bpf_no_such_function(void) __ksym;
DECLARE_MAP(calls_total, HASH, 64, u32, u64);
SEC("tp_btf/sched_swich") int tracepoint(u64 *ctx) { struct task_struct *t = (void *)ctx[0]; return t->no_such_member; }
SEC("fentry/tcp_sendmesg") int function(u64 *ctx) { struct no_such_struct *s = (void *)ctx[0]; return s->a; }
SEC("raw_tp/sched_switch") int enumerator(u64 *ctx) { return bpf_core_enum_value(enum task_state___new, TASK_NO_SUCH) + bpf_no_such_function(); }
