//! Where a program is attached, when its section does not say it or the config says something else.

use crate::host::{CgroupPattern, Pattern};

/// Places for one program, by kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attach {
    /// Cgroups.
    Cgroup(Cgroups),
    /// The first place of packets on network interfaces.
    Xdp(Xdp),
    /// A performance event on every CPU.
    PerfEvent(PerfEvent),
}

/// Cgroups of the cgroup2 hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroups {
    /// Their paths from its root on.
    pub paths: Vec<CgroupPattern>,
    /// Which packets, of a program whose section does not say it.
    pub direction: Option<Direction>,
}

/// Network interfaces for XDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xdp {
    /// Their names.
    pub interfaces: Vec<Pattern>,
    /// Where in the path of a packet it is.
    pub mode: XdpMode,
}

/// Where in the path of a packet XDP is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver where it can do that, else in the kernel's network stack.
    Auto,
    /// In the driver.
    Native,
    /// In the network stack, which every interface can do.
    Generic,
}

/// A performance event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerfEvent {
    /// The kernel's number of its type.
    pub kind: u32,
    /// Which one of that type.
    pub config: u64,
    /// How often the program runs.
    pub sample: Sample,
}

/// How often a program runs for events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// So many times in a second, as far as there are events.
    Frequency(u64),
    /// Once for so many events.
    Period(u64),
}

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// They come in.
    Ingress,
    /// They go out.
    Egress,
}

impl Attach {
    /// The key of its kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Cgroup(_) => "cgroup",
            Self::Xdp(_) => "xdp",
            Self::PerfEvent(_) => "perf_event",
        }
    }
}
