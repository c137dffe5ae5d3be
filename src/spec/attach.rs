//! Where a program is attached, when its section does not say it or the config says something else.

use crate::host::{CgroupPattern, Pattern};

/// Places for one program, by kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attach {
    /// Cgroups.
    Cgroup(Cgroups),
    /// The first place of packets on network interfaces.
    Xdp(Xdp),
    /// Packets of network interfaces, in the network stack.
    Tc(Tc),
    /// Packets of netkit interfaces.
    Netkit(Netkit),
    /// A performance event on every CPU.
    PerfEvent(PerfEvent),
    /// A function in programs and libraries of user space.
    Uprobe(Uprobe),
    /// A probe that programs and libraries of user space have themselves.
    Usdt(Usdt),
    /// A function of the kernel, of some programs a pattern or a system call.
    Kprobe(String),
    /// A tracepoint, with its category where the program's type has them.
    Tracepoint(String),
    /// A function of the kernel or hook of its security modules, by its BTF.
    Function(String),
    /// Network namespaces: files that stand for them. Without any it is the exporter's own.
    Netns(Vec<String>),
    /// A hook of netfilter.
    Netfilter(Netfilter),
    /// Packets of network interfaces, by sockets of the exporter's own.
    Socket(Vec<Pattern>),
    /// The sockets of one of the object's maps.
    Sockmap(String),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum XdpMode {
    /// In the driver where it can do that, else in the kernel's network stack.
    Auto,
    /// In the driver.
    Native,
    /// In the network stack, which every interface can do.
    Generic,
}

/// Network interfaces for tc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tc {
    /// Their names.
    pub interfaces: Vec<Pattern>,
    /// Which packets.
    pub direction: Direction,
    /// By what they are given the program.
    pub mode: TcMode,
}

/// By what an interface is given a program of tc.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TcMode {
    /// A tcx link where the kernel has them, else a filter.
    Auto,
    /// A tcx link.
    Tcx,
    /// A filter of a clsact qdisc.
    Classic,
}

/// Netkit interfaces; the section says which end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Netkit {
    /// Names of their ends on the host.
    pub interfaces: Vec<Pattern>,
}

/// A performance event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PerfEvent {
    /// The kernel's number of its type.
    pub kind: u32,
    /// Which one of that type.
    pub config: u64,
    /// How often the program runs.
    pub sample: Sample,
}

/// How often a program runs for events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sample {
    /// So many times in a second, as far as there are events.
    Frequency(u64),
    /// Once for so many events.
    Period(u64),
}

/// Programs and libraries of user space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    /// Paths with `*` and `?`, or names that are looked for where the system has its programs and libraries.
    pub files: Vec<String>,
    /// Folders that the files are below, with `*` and `?`: `/proc/*/root` are all containers.
    pub roots: Vec<String>,
    /// The one process that is meant.
    pub process: Option<i32>,
}

/// A function in user space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uprobe {
    /// Where it is.
    pub binaries: Binaries,
    /// Its name; empty where an offset of the file is meant. Of some programs a pattern.
    pub function: String,
    /// Bytes from its beginning on.
    pub offset: usize,
}

/// A probe in user space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usdt {
    /// Where it is.
    pub binaries: Binaries,
    /// Whose it is.
    pub provider: String,
    /// Its name.
    pub name: String,
}

/// A hook of netfilter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Netfilter {
    /// The kernel's number of the family.
    pub family: i32,
    /// The kernel's number of the hook.
    pub hook: i32,
    /// Which one comes first: the lower number.
    pub priority: i32,
}

/// Which way packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// They come in.
    Ingress,
    /// They go out.
    Egress,
}

impl Attach {
    /// What a section would say behind its `/`, of kinds that sections can name as well.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Kprobe(name) | Self::Tracepoint(name) | Self::Function(name) => Some(name),
            _ => None,
        }
    }

    /// The key of its kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Cgroup(_) => "cgroup",
            Self::Xdp(_) => "xdp",
            Self::Tc(_) => "tc",
            Self::Netkit(_) => "netkit",
            Self::PerfEvent(_) => "perf_event",
            Self::Uprobe(_) => "uprobe",
            Self::Usdt(_) => "usdt",
            Self::Kprobe(_) => "kprobe",
            Self::Tracepoint(_) => "tracepoint",
            Self::Function(_) => "function",
            Self::Netns(_) => "netns",
            Self::Netfilter(_) => "netfilter",
            Self::Socket(_) => "socket",
            Self::Sockmap(_) => "sockmap",
        }
    }
}
