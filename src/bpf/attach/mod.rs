//! Attaching programs: one file per kind of place that libbpf does not attach by a section's name.
//!
//! What a program wants is said by its config or by its section ([`Wanted`]). The machine makes places
//! ([`Target`]) of that, of which there may be more later; each place has a link of its own ([`Attached`]).

mod auto;
mod cgroup;
mod filters;
mod key;
mod kprobe;
mod netfilter;
mod netkit;
mod netns;
mod perf_event;
mod socket;
mod sockmap;
mod tc;
mod tracepoint;
mod uprobe;
mod usdt;
mod wanted;
mod xdp;

use std::fmt::{Display, Formatter};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use libbpf_rs::query::LinkTypeInfo;
use libbpf_rs::{Link, OpenObject, Program, ProgramMut};

use crate::host;
use crate::spec::{Attach, LoadSpec, Netfilter};

use super::ending::{self, Ending};
use super::explain::errno_of;
use super::keep::Pin;
use super::log::{self, Log};
use super::object::LoadedObject;
use super::raw::{self, LinkFacts};

pub(super) use kprobe::{Functions, of_modules};
pub(super) use tc::Filter;
pub(super) use tracepoint::tracefs;
pub(super) use wanted::Wanted;

/// One place where a program can be attached. Equal ones of two programs are the same place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Target {
    /// Where libbpf attaches it by its section.
    Section(String),
    /// A cgroup.
    Cgroup(cgroup::At),
    /// A network interface.
    Xdp(xdp::At),
    /// A network interface, and a direction.
    Tc(tc::At),
    /// A netkit interface.
    Netkit(netkit::At),
    /// A CPU.
    PerfEvent(perf_event::At),
    /// A function in a file.
    Uprobe(uprobe::At),
    /// A probe in a file.
    Usdt(usdt::At),
    /// A function of the kernel.
    Kprobe(String),
    /// A tracepoint.
    Tracepoint(String),
    /// A network namespace.
    Netns(netns::At),
    /// A hook of netfilter.
    Netfilter(Netfilter),
    /// A network interface.
    Socket(socket::At),
    /// The sockets of a map.
    Sockmap(String),
    /// There is none, or none yet.
    Missing(Missing),
}

/// Why there is no place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Missing {
    /// What its section's name says cannot be understood.
    Section { section: String, expected: &'static str, message: String },
    /// There is no such network interface.
    Interface(String),
    /// There is no such cgroup.
    Cgroup(String),
    /// cgroup2 is not mounted.
    Cgroup2,
    /// There is no such file.
    File(String),
    /// The object has no such map in the kernel.
    Map(String),
    /// Functions that match: none, too many, or nobody knows.
    Functions { pattern: String, count: Option<usize> },
}

/// What holds one program at one place.
#[derive(Debug)]
pub(super) enum Attached {
    /// A link that does not know of others.
    Link(Link),
    /// A link that uses the object's USDT manager.
    Usdt(Link),
    /// A link of the kernel's that libbpf does not know.
    Own { link: OwnedFd, is_exact: bool, is_quick: bool },
    /// A filter, which is no link.
    Filter(Filter),
    /// A socket with a filter.
    Socket(OwnedFd),
    /// A link that has a file, by which it outlives the exporter.
    Pinned { link: Box<Attached>, pin: Pin },
    /// A program at a map of sockets, which is no link.
    Sockmap(sockmap::Held),
}

/// Why a program is not attached.
#[derive(Debug)]
pub(super) enum AttachError {
    /// There is nothing in its section's name that says where.
    NoPlace,
    /// What was said leads nowhere.
    Missing(Missing),
    /// The interface has somebody's qdisc that sees nothing of what goes out.
    OnlyIngress(String),
    /// The kernel or libbpf refused.
    Refused { errno: i32, log: Log },
}

/// Gives the programs of sections that libbpf does not know their types, as it does for its own.
pub(super) fn set_types(object: &mut OpenObject) {
    for mut program in object.progs_mut() {
        let section = program.section().to_string_lossy().into_owned();
        if xdp::interface(&section).is_some() {
            xdp::set_type(&mut program, &section);
        } else if perf_event::is_section(&section) {
            perf_event::set_type(&mut program);
        }
    }
}

/// A program's section as it would be if it said what the config says, where sections can say it.
pub(super) fn effective_section(section: &str, attach: Option<&Attach>) -> String {
    let kind = section.split('/').next().unwrap_or_default();
    match attach {
        Some(attach) => attach.target().map_or_else(|| kind.to_owned(), |name| format!("{kind}/{name}")),
        None => section.to_owned(),
    }
}

/// Sets the function or tracepoint of programs that are loaded with it.
///
/// # Errors
/// The first program whose target the kernel's BTF does not have, and that name.
pub(super) fn set_functions(object: &mut OpenObject, spec: &LoadSpec) -> Result<(), (String, String, i32)> {
    for mut program in object.progs_mut().filter(|program| program.autoload()) {
        let name = program.name().to_string_lossy().into_owned();
        let is_typed = program.section().to_string_lossy().trim_start_matches('?').starts_with("tp_btf");
        let setting = spec.programs.iter().find(|setting| setting.name == name);
        let target = match setting.and_then(|setting| setting.attach.as_ref()) {
            Some(Attach::Function(target)) => target,
            Some(Attach::Tracepoint(target)) if is_typed => target,
            _ => continue,
        };
        if let Err(error) = program.set_attach_target(0, Some(target.clone())) {
            return Err((name, target.clone(), errno_of(&error)));
        }
    }
    Ok(())
}

/// Attaches one loaded program to one place. `map` is the one that the place names.
pub(super) fn attach(
    program: &ProgramMut<'_>,
    target: &Target,
    map: Option<OwnedFd>,
) -> Result<Attached, AttachError> {
    // Whatever else the exporter does takes some, too.
    if !host::has_room() {
        return Err(refused(libc::EMFILE));
    }
    let (result, log) = log::capture(|| match target {
        Target::Section(section) => auto::attach(program, section),
        Target::Cgroup(at) => cgroup::attach(program, at),
        Target::Xdp(at) => xdp::attach(program, at),
        Target::Tc(at) => tc::attach(program, at),
        Target::Netkit(at) => netkit::attach(program, at),
        Target::PerfEvent(at) => perf_event::attach(program, at),
        Target::Uprobe(at) => uprobe::attach(program, at, &section(program)),
        Target::Usdt(at) => usdt::attach(program, at),
        Target::Kprobe(function) => kprobe::attach(program, function, &section(program)),
        Target::Tracepoint(name) => tracepoint::attach(program, name),
        Target::Netns(at) => netns::attach(program, at),
        Target::Netfilter(at) => netfilter::attach(program, at),
        Target::Socket(at) => socket::attach(program, at),
        Target::Sockmap(name) => sockmap::attach(program, name, map),
        Target::Missing(missing) => Err(AttachError::Missing(missing.clone())),
    });
    result.map_err(|error| match error {
        AttachError::Refused { errno, .. } => AttachError::Refused { errno, log },
        other => other,
    })
}

/// A program's section. libbpf keeps the `?` of those it leaves alone.
pub(super) fn section(program: &Program<'_>) -> String {
    program.section().to_string_lossy().trim_start_matches('?').to_owned()
}

/// The kernel or libbpf refused; the log is added by who captured it.
fn refused(errno: i32) -> AttachError {
    AttachError::Refused { errno, log: Log::default() }
}

/// The kernel refused; the log is added by who captured it.
fn refused_by_kernel(error: &std::io::Error) -> AttachError {
    refused(error.raw_os_error().unwrap_or(libc::EIO))
}

impl Target {
    /// Whether it stands for functions of which nobody can tell which ones they are.
    pub(super) fn is_untold(&self) -> bool {
        matches!(self, Self::Missing(Missing::Functions { count, .. }) if *count != Some(0))
    }

    /// Whether it stands for none.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Missing(_))
    }

    /// The map that it is, of an object.
    pub(super) fn map(&self, object: &LoadedObject) -> Option<OwnedFd> {
        let Self::Sockmap(name) = self else { return None };
        object.map(name)?.as_fd().try_clone_to_owned().ok()
    }
}

impl Display for Target {
    fn fmt(&self, out: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Section(section) => write!(out, "`{section}`"),
            Self::Cgroup(at) => write!(out, "the cgroup `{}`", at.name()),
            Self::Xdp(at) => write!(out, "the interface `{}`", at.interface()),
            Self::Tc(at) => write!(out, "the interface `{}`", at.interface()),
            Self::Netkit(at) => write!(out, "the interface `{}`", at.interface()),
            Self::PerfEvent(at) => at.fmt(out),
            Self::Uprobe(at) => write!(out, "`{}`", at.path()),
            Self::Usdt(at) => write!(out, "`{}`", at.path()),
            Self::Kprobe(name) | Self::Tracepoint(name) => write!(out, "`{name}`"),
            Self::Netns(at) => write!(out, "the network namespace `{}`", at.path()),
            Self::Netfilter(at) => write!(out, "hook {} of netfilter", at.hook),
            Self::Socket(at) => write!(out, "the interface `{}`", at.interface()),
            Self::Sockmap(name) | Self::Missing(Missing::Map(name)) => write!(out, "the map `{name}`"),
            Self::Missing(Missing::Functions { pattern, .. }) => write!(out, "`{pattern}`"),
            Self::Missing(Missing::File(path)) => write!(out, "`{path}`"),
            Self::Missing(Missing::Section { section, .. }) => write!(out, "`{section}`"),
            Self::Missing(Missing::Interface(name)) => write!(out, "the interface `{name}`"),
            Self::Missing(Missing::Cgroup(path)) => write!(out, "the cgroup `{path}`"),
            Self::Missing(Missing::Cgroup2) => out.write_str("cgroups"),
        }
    }
}

impl Attached {
    /// Whether the kernel can exchange the program behind it, so that no event is missed or counted twice.
    pub(super) fn is_exact(&self) -> bool {
        match self {
            Self::Own { is_exact, .. } => *is_exact,
            Self::Filter(_) | Self::Socket(_) => true,
            // The successor's map can be another one.
            Self::Sockmap(_) => false,
            Self::Link(link) => link.info().is_ok_and(|info| matches!(info.info, LinkTypeInfo::Iter(_))),
            Self::Usdt(_) => false,
            Self::Pinned { link, .. } => link.is_exact(),
        }
    }

    /// What holds a program already, by the kernel's word of it.
    pub(super) fn taken_over(link: OwnedFd) -> Self {
        use libbpf_sys as kind;
        let LinkFacts { kind, .. } = raw::link_facts(link.as_fd()).unwrap_or_default();
        let is_quick = [
            kind::BPF_LINK_TYPE_CGROUP,
            kind::BPF_LINK_TYPE_NETNS,
            kind::BPF_LINK_TYPE_TCX,
            kind::BPF_LINK_TYPE_NETKIT,
            kind::BPF_LINK_TYPE_ITER,
        ]
        .contains(&kind);
        let is_exact = is_quick || kind == kind::BPF_LINK_TYPE_XDP;
        Self::Own { link, is_exact, is_quick }
    }

    /// The link, if the kernel has one that can have a file: libbpf calls more its links.
    pub(super) fn link_fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Link(link) => Some(link.as_fd()).filter(|link| raw::is_link(*link)),
            Self::Own { link, .. } => Some(link.as_fd()),
            Self::Pinned { link, .. } => link.link_fd(),
            Self::Usdt(_) | Self::Filter(_) | Self::Socket(_) | Self::Sockmap(_) => None,
        }
    }

    /// Lets go of it and leaves the program at work, if it has a file.
    pub(super) fn leave(self) -> Option<Self> {
        match self {
            Self::Pinned { link, pin } => {
                // libbpf would end what it attached.
                if let Self::Link(mut link) = *link {
                    link.disconnect();
                }
                drop(pin);
                None
            }
            other => Some(other),
        }
    }

    /// The link of an iterator, which runs when somebody asks.
    pub(super) fn iterator(&self) -> Option<BorrowedFd<'_>> {
        let link = self.link_fd()?;
        let LinkFacts { kind, .. } = raw::link_facts(link).ok()?;
        (kind == libbpf_sys::BPF_LINK_TYPE_ITER).then_some(link)
    }

    /// Whether it holds the program still. Of what is no link that can end without a word.
    pub(super) fn is_at_work(&self) -> bool {
        match self {
            Self::Filter(filter) => filter.is_there(),
            Self::Pinned { link, .. } => link.is_at_work(),
            _ => true,
        }
    }

    /// Puts another program behind it.
    pub(super) fn update(&mut self, program: &Program<'_>) -> Result<(), AttachError> {
        match self {
            Self::Link(link) => link.update_prog(program).map_err(|error| refused(errno_of(&error))),
            Self::Own { link, .. } => {
                raw::update_link(link.as_fd(), program).map_err(|error| refused_by_kernel(&error))
            }
            Self::Filter(filter) => filter.update(program),
            Self::Socket(socket) => {
                raw::set_filter_of(socket.as_fd(), program).map_err(|error| refused_by_kernel(&error))
            }
            Self::Usdt(_) | Self::Sockmap(_) => Err(refused(libc::EOPNOTSUPP)),
            Self::Pinned { link, .. } => link.update(program),
        }
    }

    /// Lets go of it such that its place is free, whoever else has its descriptor for a moment: a process that is
    /// being started has all of them.
    pub(super) fn detach_now(self) {
        match &self {
            Self::Pinned { .. } => {
                if let Self::Pinned { link, pin } = self {
                    drop(pin);
                    link.detach_now();
                }
            }
            Self::Own { link, .. } => drop(raw::detach_link(link.as_fd())),
            // Not every kind can do that; what is left goes with the descriptor.
            Self::Link(link) => drop(link.detach()),
            Self::Usdt(_) | Self::Filter(_) | Self::Socket(_) | Self::Sockmap(_) => {}
        }
    }

    /// Lets go of it: what the caller holds then takes its time, and may be let go of by another thread.
    pub(super) fn detach(self) -> Option<Box<dyn Send>> {
        match self {
            Self::Pinned { link, pin } => {
                drop(pin);
                link.detach()
            }
            // Here, too, although it takes as long as attaching: until then both count.
            Self::Usdt(link) => {
                drop(link);
                None
            }
            // At once and here: another thread may have to wait for a processor, and until then both
            // programs count.
            Self::Own { is_quick: true, link, .. } => {
                drop(link);
                None
            }
            Self::Own { link, .. } => Some(Box::new(link)),
            Self::Filter(filter) => Some(Box::new(filter)),
            Self::Socket(socket) => {
                drop(socket);
                None
            }
            Self::Sockmap(held) => {
                drop(held);
                None
            }
            Self::Link(link) => match ending::of(&link) {
                Ending::Quick => {
                    drop(link);
                    None
                }
                Ending::Event(event) => {
                    drop(link);
                    Some(Box::new(event))
                }
                Ending::Slow => Some(Box::new(link)),
            },
        }
    }
}

impl AttachError {
    /// Whether the place has room for one program, and another one is there.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self, Self::Refused { errno: libc::EBUSY | libc::EEXIST, .. })
    }

    /// Whether the place was gone before the program came.
    pub(super) fn is_gone(&self, target: &Target) -> bool {
        let Self::Refused { errno, .. } = self else { return false };
        match target {
            Target::Cgroup(_) | Target::Netns(_) => matches!(*errno, libc::ENOENT | libc::ENODEV),
            Target::Xdp(_) | Target::Tc(_) | Target::Netkit(_) | Target::Socket(_) | Target::PerfEvent(_) => {
                *errno == libc::ENODEV
            }
            _ => false,
        }
    }
}
