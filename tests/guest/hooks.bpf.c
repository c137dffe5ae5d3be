// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A program for each kind of hook that the exporter attaches. A config enables one of them, gives it
 * the number that its count stands under, and gives it a place where its section has none. What each
 * one counts is what called.c does, and nothing else that happens in a guest.
 */
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;

#include "counted.bpf.h"
#include "called.h"

#define COUNTED(section, name, type, condition, result) \
    SEC("?" section)                                    \
    int on_##name(type *context)                        \
    {                                                   \
        if (condition)                                  \
            count(0);                                   \
        return result;                                  \
    }

#define ALWAYS 1

/* Whether the program that runs is called.c. */
static __always_inline int is_called(void)
{
    u64 name[2] = {};

    bpf_get_current_comm(name, sizeof(name));
    return __builtin_memcmp(name, "called\0", 8) == 0;
}

/* Functions of the kernel. */
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

/* User space. */
COUNTED("uprobe//bin/called:probed", uprobe, void, ALWAYS, 0)
COUNTED("uretprobe//bin/called:probed", uretprobe, void, ALWAYS, 0)
COUNTED("uprobe.s//bin/called:probed", uprobe_s, void, ALWAYS, 0)
COUNTED("uretprobe.s//bin/called:probed", uretprobe_s, void, ALWAYS, 0)
COUNTED("uprobe.multi//bin/called:probed", uprobe_multi, void, ALWAYS, 0)
COUNTED("uretprobe.multi//bin/called:probed", uretprobe_multi, void, ALWAYS, 0)
COUNTED("uprobe.multi.s//bin/called:probed", uprobe_multi_s, void, ALWAYS, 0)
COUNTED("uretprobe.multi.s//bin/called:probed", uretprobe_multi_s, void, ALWAYS, 0)
COUNTED("uprobe.session//bin/called:probed", uprobe_session, void, ALWAYS, 0)
COUNTED("uprobe.session.s//bin/called:probed", uprobe_session_s, void, ALWAYS, 0)

/* Packets of an interface: those of IPv4 with a length that no other has. */
#define OF_LENGTH(length) (context->protocol == bpf_htons(0x0800) && context->len == (length))
#define LAYER_3 (IPV4_HEADERS + PAYLOAD)
#define LAYER_2 (14 + LAYER_3)

/* Told by comparisons that the verifier lets everybody make. */
#define REACHES(length) ((void *)(long)context->data + (length) <= (void *)(long)context->data_end)
#define IS_LONG(length) (REACHES(length) && !REACHES((length) + 1))
COUNTED("xdp", xdp, struct xdp_md, IS_LONG(LAYER_2), XDP_PASS)
COUNTED("xdp.frags", xdp_frags, struct xdp_md, IS_LONG(LAYER_2), XDP_PASS)
COUNTED("tcx/ingress", tcx_ingress, struct __sk_buff, OF_LENGTH(LAYER_2), -1)
COUNTED("tcx/egress", tcx_egress, struct __sk_buff, OF_LENGTH(LAYER_2), -1)
COUNTED("tc/ingress", tc_ingress, struct __sk_buff, OF_LENGTH(LAYER_2), -1)
COUNTED("tc/egress", tc_egress, struct __sk_buff, OF_LENGTH(LAYER_2), -1)
/* It wants the packet's hash, for which its flow is dissected. */
COUNTED("tc", tc, struct __sk_buff, OF_LENGTH(LAYER_2) && (bpf_get_hash_recalc(context), ALWAYS), -1)
COUNTED("netkit/primary", netkit_primary, struct __sk_buff, context->len == FRAME, -1)
COUNTED("netkit/peer", netkit_peer, struct __sk_buff, context->len == FRAME, -1)
/* The loopback interface shows what goes out and what comes in. */
COUNTED("socket", socket, struct __sk_buff, OF_LENGTH(LAYER_2), 0)

/* Network namespaces. */
#define IS_DATAGRAM (context->local_port == PORT && context->protocol == UDP && context->family == 2)
COUNTED("sk_lookup", sk_lookup, struct bpf_sk_lookup, IS_DATAGRAM, SK_PASS)

SEC("?flow_dissector")
int on_flow_dissector(struct __sk_buff *context)
{
    struct bpf_flow_keys *keys = context->flow_keys;

    if (keys->n_proto == bpf_htons(0x0800))
        count(0);
    return BPF_OK;
}

/* Control groups. */
COUNTED("cgroup_skb/ingress", cgroup_skb_ingress, struct __sk_buff, OF_LENGTH(LAYER_3), 1)
COUNTED("cgroup_skb/egress", cgroup_skb_egress, struct __sk_buff, OF_LENGTH(LAYER_3), 1)
COUNTED("cgroup/skb", cgroup_skb, struct __sk_buff, OF_LENGTH(LAYER_3), 1)
COUNTED("cgroup/sock", cgroup_sock, struct bpf_sock, context->type == RAW, 1)
COUNTED("cgroup/sock_create", cgroup_sock_create, struct bpf_sock, context->type == RAW, 1)
COUNTED("cgroup/sock_release", cgroup_sock_release, struct bpf_sock, context->type == RAW, 1)
COUNTED("cgroup/post_bind4", cgroup_post_bind4, void, ALWAYS, 1)
COUNTED("cgroup/post_bind6", cgroup_post_bind6, void, ALWAYS, 1)
COUNTED("cgroup/bind4", cgroup_bind4, void, ALWAYS, 1)
COUNTED("cgroup/bind6", cgroup_bind6, void, ALWAYS, 1)
COUNTED("cgroup/connect4", cgroup_connect4, void, ALWAYS, 1)
COUNTED("cgroup/connect6", cgroup_connect6, void, ALWAYS, 1)
COUNTED("cgroup/connect_unix", cgroup_connect_unix, void, ALWAYS, 1)
COUNTED("cgroup/sendmsg4", cgroup_sendmsg4, void, ALWAYS, 1)
COUNTED("cgroup/sendmsg6", cgroup_sendmsg6, void, ALWAYS, 1)
COUNTED("cgroup/sendmsg_unix", cgroup_sendmsg_unix, void, ALWAYS, 1)
COUNTED("cgroup/recvmsg4", cgroup_recvmsg4, void, ALWAYS, 1)
COUNTED("cgroup/recvmsg6", cgroup_recvmsg6, void, ALWAYS, 1)
COUNTED("cgroup/recvmsg_unix", cgroup_recvmsg_unix, void, ALWAYS, 1)
COUNTED("cgroup/getpeername4", cgroup_getpeername4, void, ALWAYS, 1)
COUNTED("cgroup/getpeername6", cgroup_getpeername6, void, ALWAYS, 1)
COUNTED("cgroup/getpeername_unix", cgroup_getpeername_unix, void, ALWAYS, 1)
COUNTED("cgroup/getsockname4", cgroup_getsockname4, void, ALWAYS, 1)
COUNTED("cgroup/getsockname6", cgroup_getsockname6, void, ALWAYS, 1)
COUNTED("cgroup/getsockname_unix", cgroup_getsockname_unix, void, ALWAYS, 1)
COUNTED("cgroup/sysctl", cgroup_sysctl, void, ALWAYS, 1)
COUNTED("cgroup/getsockopt", cgroup_getsockopt, void, ALWAYS, 1)
COUNTED("cgroup/setsockopt", cgroup_setsockopt, void, ALWAYS, 1)
COUNTED("cgroup/dev", cgroup_dev, void, ALWAYS, 1)
COUNTED("sockops", sockops, struct bpf_sock_ops, context->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, 1)
