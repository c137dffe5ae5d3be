//! Probes that programs and libraries of user space have themselves.

use libbpf_rs::ProgramMut;

use crate::bpf::explain::errno_of;
use crate::bpf::usdt;
use crate::host::{Binary, Host};
use crate::spec::Usdt;

use super::{AttachError, Attached, Missing, Target, refused};

/// All processes.
const EVERYBODY: i32 = -1;

/// A probe in a file, whatever path leads to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bpf) struct At {
    binary: Binary,
    provider: String,
    name: String,
    process: i32,
}

impl At {
    pub(super) fn path(&self) -> String {
        self.binary.path.display().to_string()
    }
}

pub(super) fn targets(wanted: &Usdt, host: &Host) -> Vec<Target> {
    let (found, missing) = host.select_binaries(&wanted.binaries.files, &wanted.binaries.roots);
    let at = |binary| {
        Target::Usdt(At {
            binary,
            provider: wanted.provider.clone(),
            name: wanted.name.clone(),
            process: wanted.binaries.process.unwrap_or(EVERYBODY),
        })
    };
    found
        .into_iter()
        .map(at)
        .chain(missing.into_iter().map(|file| Target::Missing(Missing::File(file))))
        .collect()
}

pub(super) fn attach(program: &ProgramMut<'_>, at: &At) -> Result<Attached, AttachError> {
    let attach = || program.attach_usdt(at.process, &at.binary.path, &at.provider, &at.name);
    usdt::attaching(attach).map(Attached::Usdt).map_err(|error| refused(errno_of(&error)))
}
