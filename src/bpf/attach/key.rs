//! Names of places that hold over restarts: an exporter that comes later finds by them what was left at a place.

use super::Target;

impl Target {
    /// What tells this place from others, as long as it is there. Interfaces can be renamed, and a file in a container
    /// is found by another process's root.
    pub(in crate::bpf) fn key(&self) -> String {
        match self {
            Self::Section(section) => format!("section {section}"),
            Self::Cgroup(at) => format!("cgroup {}", at.key()),
            Self::Xdp(at) => format!("xdp {}", at.key()),
            Self::Tc(at) => format!("tc {}", at.key()),
            Self::Netkit(at) => format!("netkit {}", at.key()),
            Self::Uprobe(at) => format!("uprobe {}", at.key()),
            Self::Netns(at) => format!("netns {}", at.key()),
            Self::Kprobe(function) => format!("kprobe {function}"),
            Self::Tracepoint(name) => format!("tracepoint {name}"),
            // What they are made of does not change, or no link is left of them.
            Self::PerfEvent(_)
            | Self::Netfilter(_)
            | Self::Usdt(_)
            | Self::Socket(_)
            | Self::Sockmap(_)
            | Self::Missing(_) => format!("{self:?}"),
        }
    }
}
