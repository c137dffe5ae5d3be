//! Probes that programs and libraries of user space have themselves.

use libbpf_rs::ProgramMut;

use crate::bpf::explain::errno_of;
use crate::bpf::usdt;
use crate::host::{Binary, Host};
use crate::spec::{Binaries, Usdt};

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

/// What a section of sleepable programs says: libbpf takes them, and then looks for `usdt/` alone.
pub(super) fn by_section(section: &str) -> Option<Usdt> {
    let mut parts = section.strip_prefix("usdt.s/")?.splitn(3, ':').map(str::to_owned);
    let (file, provider, name) = (parts.next()?, parts.next()?, parts.next()?);
    let binaries = Binaries { files: vec![file], roots: Vec::new(), process: None };
    Some(Usdt { binaries, provider, name })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleepable_sections_are_read() {
        let check = |section: &str, expected: Option<[&str; 3]>| {
            let found = by_section(section)
                .map(|probe| [probe.binaries.files[0].clone(), probe.provider, probe.name]);
            assert_eq!(found, expected.map(|texts| texts.map(str::to_owned)), "{section}");
        };
        check("usdt.s//usr/bin/python3:python:gc__start", Some(["/usr/bin/python3", "python", "gc__start"]));
        check("usdt.s/libc.so.6:libc:setjmp", Some(["libc.so.6", "libc", "setjmp"]));
        check("usdt.s/python:gc__start", None);
        check("usdt.s", None);
        check("usdt//usr/bin/python3:python:gc__start", None);
    }
}
