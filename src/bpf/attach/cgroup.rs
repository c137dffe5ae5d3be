//! Hooks of cgroups: packets, sockets, addresses, `sockops`, sysctls, devices, socket options.
//!
//! A program at a cgroup runs for all cgroups below it as well. Without a config it is attached to the
//! root of the cgroup2 hierarchy, which is the whole machine.

use std::os::fd::AsFd;
use std::path::PathBuf;

use libbpf_rs::ProgramMut;
use rustix::fs::{Mode, OFlags};

use crate::bpf::raw::{self, LinkTarget};
use crate::elf::SectionKind;
use crate::host::{CgroupPattern, Host};
use crate::spec::{Cgroups, Direction};

use super::{AttachError, Attached, Missing, Target, refused, refused_by_kernel};

/// One cgroup and one of its hooks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bpf) struct At {
    path: PathBuf,
    name: String,
    /// One that was made anew under the same path is another one.
    id: u64,
    hook: u32,
}

impl At {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What tells it from others, whatever it is called just now.
    pub(super) fn key(&self) -> String {
        format!("{} {}", self.id, self.hook)
    }
}

/// The root, for sections of cgroups that say which hook they mean.
pub(super) fn by_section(section: &str) -> Option<Cgroups> {
    let is_of_cgroups = SectionKind::of(section)?.is_of_cgroups();
    is_of_cgroups.then(|| Cgroups { paths: vec![CgroupPattern::new("/")], direction: None })
}

/// The root alone neither comes nor goes.
pub(super) fn follows(wanted: &Cgroups) -> bool {
    wanted.paths.iter().any(|path| path.text() != "/")
}

pub(super) fn targets(wanted: &Cgroups, attach_type: u32, host: &Host) -> Vec<Target> {
    let Some(found) = host.select_cgroups(&wanted.paths) else {
        return vec![Target::Missing(Missing::Cgroup2)];
    };
    let hook = match wanted.direction {
        Some(Direction::Ingress) => libbpf_sys::BPF_CGROUP_INET_INGRESS,
        Some(Direction::Egress) => libbpf_sys::BPF_CGROUP_INET_EGRESS,
        None => attach_type,
    };
    let missing = wanted.paths.iter().filter(|path| path.is_exact()).filter(|path| {
        let own = host.select_cgroups(std::slice::from_ref(*path));
        own.is_some_and(|own| own.is_empty())
    });
    let missing = missing.map(|path| Target::Missing(Missing::Cgroup(path.text().to_owned())));
    let missing: Vec<Target> = missing.collect();
    let at = |cgroup: crate::host::SelectedCgroup| {
        Target::Cgroup(At { path: cgroup.path, name: cgroup.name, id: cgroup.id, hook })
    };
    found.into_iter().map(at).chain(missing).collect()
}

pub(super) fn attach(program: &ProgramMut<'_>, at: &At) -> Result<Attached, AttachError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let cgroup = rustix::fs::open(&at.path, flags, Mode::empty());
    let cgroup = cgroup.map_err(|errno| refused(errno.raw_os_error()))?;
    let link = raw::create_link(program, LinkTarget::Descriptor(cgroup.as_fd()), at.hook, 0)
        .map_err(|error| refused_by_kernel(&error))?;
    Ok(Attached::Own { link, is_exact: true, is_quick: true })
}
