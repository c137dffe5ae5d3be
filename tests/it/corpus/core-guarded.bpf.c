/* The same questions, asked before they are relied on. */
#include "prelude.h"

struct task_struct { int pid; int no_such_member; } __attribute__((preserve_access_index));
struct no_such_struct { int a; } __attribute__((preserve_access_index));
enum task_state___new { TASK_NO_SUCH = 9 };
extern int bpf_no_such_function(void) __ksym __weak;
DECLARE_MAP(calls_total, HASH, 64, u32, u64);
SEC("tp_btf/sched_switch") int member(u64 *ctx)
{
    struct task_struct *task = (void *)ctx[0];
    if (bpf_core_field_exists(task->no_such_member))
        return task->no_such_member;
    return task->pid;
}
SEC("raw_tp/sched_switch") int others(u64 *ctx)
{
    int sum = 0;
    if (bpf_core_type_exists(struct no_such_struct))
        sum += bpf_core_type_size(struct no_such_struct);
    if (bpf_core_enum_value_exists(enum task_state___new, TASK_NO_SUCH))
        sum += bpf_core_enum_value(enum task_state___new, TASK_NO_SUCH);
    if (bpf_no_such_function)
        sum += bpf_no_such_function();
    return sum;
}
SEC("?fentry/no_such_function") int switched_off(void *ctx) { return 0; }
