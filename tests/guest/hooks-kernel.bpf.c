// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Hooks of the kernel itself. */
#include "hooks.bpf.h"

/* Whether the program that runs is called.c. */
static __always_inline int is_called(void)
{
    u64 name[2] = {};

    bpf_get_current_comm(name, sizeof(name));
    return __builtin_memcmp(name, "called\0", 8) == 0;
}

/* Functions. */
COUNTED("kprobe/vfs_fallocate", kprobe, void, ALWAYS, 0)
COUNTED("kretprobe/vfs_fallocate", kretprobe, void, ALWAYS, 0)
COUNTED("ksyscall/fallocate", ksyscall, void, ALWAYS, 0)
COUNTED("kretsyscall/fallocate", kretsyscall, void, ALWAYS, 0)
COUNTED("kprobe.multi/vfs_fallocate", kprobe_multi, void, ALWAYS, 0)
COUNTED("kretprobe.multi/vfs_fallocate", kretprobe_multi, void, ALWAYS, 0)
COUNTED("kprobe.session/vfs_fallocate", kprobe_session, void, ALWAYS, 0)
COUNTED("fentry/vfs_fallocate", fentry, u64, ALWAYS, 0)
COUNTED("fexit/vfs_fallocate", fexit, u64, ALWAYS, 0)
COUNTED("fsession/vfs_fallocate", fsession, u64, ALWAYS, 0)
COUNTED("fmod_ret/security_socket_listen", fmod_ret, u64, ALWAYS, 0)
/* These sleep in what may be made to fail only, as system calls may. */
COUNTED("fentry.s/__x64_sys_fallocate", fentry_s, u64, ALWAYS, 0)
COUNTED("fexit.s/__x64_sys_fallocate", fexit_s, u64, ALWAYS, 0)
COUNTED("fsession.s/__x64_sys_fallocate", fsession_s, u64, ALWAYS, 0)
COUNTED("fmod_ret.s/__x64_sys_fallocate", fmod_ret_s, u64, ALWAYS, 0)
COUNTED("lsm/socket_listen", lsm, u64, ALWAYS, 0)
/* The only one that sleeps on Linux 5.10. */
COUNTED("lsm.s/bprm_committed_creds", lsm_s, u64, is_called(), 0)
COUNTED("lsm_cgroup/socket_listen", lsm_cgroup, u64, ALWAYS, 1)

/* Tracepoints. */
COUNTED("tracepoint/syscalls/sys_enter_fallocate", tracepoint, void, ALWAYS, 0)
COUNTED("raw_tp/sys_enter", raw_tp, u64, context[1] == FALLOCATE, 0)
COUNTED("raw_tp.w/sys_enter", raw_tp_w, u64, context[1] == FALLOCATE, 0)
COUNTED("tp_btf/sys_enter", tp_btf, u64, context[1] == FALLOCATE, 0)
COUNTED("iter/bpf_map", iter, void, ALWAYS, 0)
COUNTED("iter.s/task", iter_s, void, ALWAYS, 0)
COUNTED("perf_event", perf_event, struct bpf_perf_event_data, context->addr >> 32 == PAGES_AT >> 32, 0)
