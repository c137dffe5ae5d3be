//! How long it takes until a link has let go of its program.

use std::os::fd::OwnedFd;

use libbpf_rs::Link;
use libbpf_rs::query::LinkTypeInfo;

use super::raw;

/// What the end of a link is like.
pub(super) enum Ending {
    /// The program stops at once, and the call comes back soon.
    Quick,
    /// The program stops at once. What takes long, 70 ms and more, is the end of this performance event: whoever
    /// holds it decides when that is.
    Event(OwnedFd),
    /// The call comes back when the kernel has waited for all that may still run.
    Slow,
}

/// Measured on Linux 6.18: raw tracepoints 0.15 to 2 ms, performance events of CPUs 0.15 ms; tracepoints 70 ms and
/// uprobes 100 ms, of which nearly all is the end of their event.
pub(super) fn of(link: &Link) -> Ending {
    let Ok(info) = link.info() else { return Ending::Slow };
    match info.info {
        LinkTypeInfo::PerfEvent(_) => raw::perf_event_of(link).map_or(Ending::Slow, Ending::Event),
        LinkTypeInfo::RawTracepoint(_)
        | LinkTypeInfo::Tracing(_)
        | LinkTypeInfo::Iter(_)
        | LinkTypeInfo::Cgroup(_)
        | LinkTypeInfo::NetNs(_)
        | LinkTypeInfo::Tcx(_)
        | LinkTypeInfo::Netkit(_) => Ending::Quick,
        _ => Ending::Slow,
    }
}
