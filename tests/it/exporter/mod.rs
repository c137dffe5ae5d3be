//! The whole exporter as a process: values, faults, pages, flags, its end.

/// One good config among every kind of bad one.
mod isolation;

/// Starting, dropping privileges, stopping.
mod lifecycle;

/// Pages over HTTP, and what promtool and Prometheus make of them.
mod pages;

/// Numbers on the page against known workloads.
mod values;

use std::path::{Path, PathBuf};

use crate::common::objects::compile;

/// A program that every process can run exactly N times: `getppid` by the caller alone, counted in map `calls`.
///
/// The map's definition is the test's own; `BODY` is what happens per call.
pub fn counting_object(map: &str, body: &str) -> PathBuf {
    compile(&format!(
        r#"
{map}
const volatile u32 unused_filter = 0;
SEC("raw_tp/sys_enter") int count_calls(struct bpf_raw_tracepoint_args *ctx)
{{
    u64 id = ctx->args[1];
    u32 pid = bpf_get_current_pid_tgid() >> 32;
    /* The workload calls getpriority(PRIO_PROCESS, 0x5eed, …): nobody else does. */
    struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
    u64 argument = 0;
    bpf_probe_read_kernel(&argument, sizeof(argument), &PT_REGS_PARM2_CORE_SYSCALL(regs));
    if (id != {getpriority} || (u32)argument != 0x5eed)
        return 0;
    {body}
    return 0;
}}
"#,
        getpriority = libc::SYS_getpriority,
    ))
}

/// Makes the counted call `times` times.
pub fn fire(times: u64) {
    for _ in 0..times {
        // A process of that number does not exist: the call fails, and that is all it does.
        let _ = rustix::process::getpriority_process(rustix::process::Pid::from_raw(0x5eed));
    }
}

/// A good pair: counter `<name>` in a hash map keyed by u32.
pub fn good_yaml(name: &str) -> String {
    format!(
        "metrics:\n  counters:\n    - name: {name}\n      help: Calls counted\n      labels:\n        - name: slot\n          size: 4\n          decoders:\n            - name: uint\n"
    )
}

/// The object for [`good_yaml`].
pub fn good_object(name: &str) -> PathBuf {
    counting_object(
        &format!(
            "struct {{ __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, u64); }} {name} SEC(\".maps\");"
        ),
        &format!(
            "u32 key = 7; u64 one = 1; u64 *value = bpf_map_lookup_elem(&{name}, &key);
             if (value) __sync_fetch_and_add(value, 1); else bpf_map_update_elem(&{name}, &key, &one, BPF_NOEXIST);"
        ),
    )
}

/// Where the repository is.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
