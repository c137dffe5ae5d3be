//! The whole exporter as a process: values, faults, pages, flags, its end.

/// Hosts that lack something.
mod environment;

/// Metrics that are made of events.
pub mod events;

/// One good config among every kind of bad one.
mod isolation;

/// Starting, dropping privileges, stopping.
mod lifecycle;

/// Bounds on series and entries.
mod limits;
/// Pages that are sent while they are rendered.
mod long;

/// What the machine does not tell by itself.
mod machine;

/// Memory after very many keys.
mod memory;

/// Names of members, from the YAML to the page.
mod named;

/// Maps of maps, from the YAML to the page.
mod nested;

/// Pages over HTTP, and what promtool and Prometheus make of them.
mod pages;

/// Places that the config names, and those that come later.
mod places;

/// Many scrapes of maps that change.
mod pressure;

/// What became of programs, and what is set before the load.
mod programs;

/// Numbers on the page against known workloads.
mod values;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::Location;
use std::path::PathBuf;

use crate::common::objects::compile;

/// Calls that nobody else makes: `getpriority` of a process whose number does not exist.
/// The number belongs to the line that made the workload, so that tests side by side do not meet: two
/// workloads on one line are the same.
#[derive(Clone, Copy)]
pub struct Workload {
    who: u32,
}

impl Workload {
    #[track_caller]
    pub fn new() -> Self {
        let mut hasher = DefaultHasher::new();
        (Location::caller().file(), Location::caller().line()).hash(&mut hasher);
        // Above every process number that the kernel gives (4,194,304).
        Self { who: 0x4000_0000 | (hasher.finish() as u32 & 0x3fff_ffff) }
    }

    /// An object with these maps whose program does `body` for each call.
    #[track_caller]
    pub fn object(self, maps: &str, body: &str) -> PathBuf {
        // Where the second argument of a system call is in `struct pt_regs`.
        let offset = if cfg!(target_arch = "x86_64") { 104 } else { 8 };
        compile(&format!(
            r#"
#include "maps.bpf.h"
{maps}
SEC("raw_tp/sys_enter") int count_calls(struct bpf_raw_tracepoint_args *ctx)
{{
    u64 argument = 0;
    if (ctx->args[1] != {number})
        return 0;
    bpf_probe_read_kernel(&argument, sizeof(argument), (void *)ctx->args[0] + {offset});
    if ((u32)argument != {who})
        return 0;
    {body}
    return 0;
}}
"#,
            number = libc::SYS_getpriority,
            who = self.who,
        ))
    }

    /// Makes the counted call `times` times.
    pub fn fire(self, times: u64) {
        for _ in 0..times {
            // It fails, and that is all it does.
            let _ = rustix::process::getpriority_process(rustix::process::Pid::from_raw(self.who as i32));
        }
    }

    /// The object for [`good_yaml`].
    #[track_caller]
    pub fn good_object(self, name: &str) -> PathBuf {
        self.object(
            &format!(
                "struct {{ __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 64); __type(key, u32); __type(value, u64); }} {name} SEC(\".maps\");"
            ),
            &format!(
                "u32 key = 7; increment_map(&{name}, &key, 1);"
            ),
        )
    }
}

/// A good config: a counter of this name in a hash map keyed by u32; the calls are under 7.
pub fn good_yaml(name: &str) -> String {
    format!(
        "metrics:\n  counters:\n    - name: {name}\n      help: Calls counted\n      labels:\n        - name: slot\n          size: 4\n          decoders:\n            - name: uint\n"
    )
}
