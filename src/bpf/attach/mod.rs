//! Attaching programs by their section's name: one file per kind that libbpf does not know.

mod auto;
mod cgroup;
mod perf_event;
mod xdp;

use std::path::{Path, PathBuf};

use libbpf_rs::query::LinkTypeInfo;
use libbpf_rs::{Link, OpenObject, Program, ProgramMut};

use crate::host::Host;
use crate::spec::LoadSpec;

use super::explain::errno_of;
use super::log::{self, Log};

/// Where libbpf looks for tracepoints; the first one that is there.
const TRACEFS: [&str; 2] = ["/sys/kernel/debug/tracing", "/sys/kernel/tracing"];

/// tracefs, when it is mounted.
pub(super) fn tracefs() -> Option<&'static str> {
    TRACEFS.into_iter().find(|path| Path::new(path).join("events").exists())
}

/// What holds one program.
#[derive(Debug)]
pub(super) enum Attached {
    /// Links that do not know of each other.
    Links(Vec<Link>),
    /// A link that uses the object's USDT manager.
    Usdt(Link),
}

/// Why a program is not attached.
#[derive(Debug)]
pub(super) enum AttachError {
    /// There is nothing in its section's name that says where.
    NoPlace,
    /// What its section's name says cannot be understood.
    Section { expected: &'static str, message: String },
    /// The kernel or libbpf refused.
    Refused { errno: i32, log: Log },
    /// There is no such network interface.
    NoInterface(String),
    /// There is no cgroup2 here.
    NoCgroups,
    /// There is no such control group, or it cannot be opened.
    NoCgroup { path: PathBuf, error: std::io::Error },
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

/// Attaches one loaded program where its config says, else where its section's name says.
pub(super) fn attach(
    program: &ProgramMut<'_>,
    spec: &LoadSpec,
    host: &Host,
) -> Result<Attached, AttachError> {
    let section = section(program);
    let (result, log) = log::capture(|| {
        if let Some(path) = cgroup_of(program, spec) {
            cgroup::attach(program, path, host)
        } else if let Some(interface) = xdp::interface(&section) {
            xdp::attach(program, interface)
        } else if perf_event::is_section(&section) {
            perf_event::attach(program, &section, &host.roots)
        } else {
            auto::attach(program, &section)
        }
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

/// The control group that the config attaches a program to.
fn cgroup_of<'a>(program: &Program<'_>, spec: &'a LoadSpec) -> Option<&'a str> {
    let name = program.name();
    let setting = spec.programs.iter().find(|setting| *setting.name == *name)?;
    setting.cgroup.as_deref()
}

/// The kernel or libbpf refused; the log is added by who captured it.
fn refused(errno: i32) -> AttachError {
    AttachError::Refused { errno, log: Log::default() }
}

/// Where a program is attached, such that two programs with equal places are at the same one.
pub(super) fn place(program: &Program<'_>, spec: &LoadSpec) -> String {
    let section = section(program);
    if let Some(path) = cgroup_of(program, spec) {
        return format!("{section} at {path}");
    }
    match xdp::interface(&section) {
        // With fragments or without: an interface has one place.
        Some(interface) => format!("xdp/{interface}"),
        None => section,
    }
}

impl Attached {
    /// Whether the kernel can exchange the program behind it, so that no event is missed or counted twice.
    pub(super) fn is_exact(&self) -> bool {
        let Self::Links(links) = self else { return false };
        let [link] = links.as_slice() else { return false };
        link.info().is_ok_and(|info| {
            matches!(
                info.info,
                LinkTypeInfo::Xdp(_)
                    | LinkTypeInfo::Tcx(_)
                    | LinkTypeInfo::Netkit(_)
                    | LinkTypeInfo::Cgroup(_)
                    | LinkTypeInfo::NetNs(_)
                    | LinkTypeInfo::Iter(_)
            )
        })
    }

    /// Puts another program behind it.
    pub(super) fn update(&mut self, program: &Program<'_>) -> Result<(), AttachError> {
        let Self::Links(links) = self else { return Err(refused(libc::EOPNOTSUPP)) };
        links
            .iter_mut()
            .try_for_each(|link| link.update_prog(program))
            .map_err(|error| refused(errno_of(&error)))
    }

    /// How many links there are.
    pub(super) fn link_count(&self) -> usize {
        match self {
            Self::Links(links) => links.len(),
            Self::Usdt(_) => 1,
        }
    }
}

impl AttachError {
    /// Whether the place has room for one program, and another one is there.
    pub(super) fn is_taken(&self) -> bool {
        matches!(self, Self::Refused { errno: libc::EBUSY | libc::EEXIST, .. })
    }
}
