//! Probes that programs and libraries of user space have themselves.

use std::path::Path;

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

    /// The file, and the provider and name of the probe in it.
    pub(in crate::bpf) fn parts(&self) -> (&Path, &str, &str) {
        (&self.binary.path, &self.provider, &self.name)
    }
}

/// What the section of a program says that may sleep, and which libbpf takes for one, but does not attach.
pub(super) fn by_section(section: &str) -> Option<Result<Usdt, Missing>> {
    let place = section.strip_prefix("usdt.s/")?;
    let mut words = place.rsplitn(3, ':');
    let wanted = match (words.next(), words.next(), words.next()) {
        (Some(name), Some(provider), Some(file)) if ![name, provider, file].contains(&"") => Ok(Usdt {
            binaries: Binaries { files: vec![file.to_owned()], roots: Vec::new(), process: None },
            provider: provider.to_owned(),
            name: name.to_owned(),
        }),
        _ => Err(Missing::Section {
            section: section.to_owned(),
            expected: "usdt.s/<path>:<provider>:<name>",
            message: "its section does not name a probe".to_owned(),
        }),
    };
    Some(wanted)
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
    fn sections_of_sleepable_probes_name_file_provider_and_probe() {
        #[track_caller]
        fn check(section: &str, expected: Option<[&str; 3]>) {
            let found = by_section(section).map(|found| found.map_err(|missing| format!("{missing:?}")));
            let words = found.map(|found| found.unwrap());
            let words = words.map(|found| [found.binaries.files[0].clone(), found.provider, found.name]);
            assert_eq!(words, expected.map(|words| words.map(str::to_owned)), "{section}");
        }
        check("usdt.s//usr/lib/libc.so.6:libc:setjmp", Some(["/usr/lib/libc.so.6", "libc", "setjmp"]));
        check("usdt.s/libc.so.6:libc:setjmp", Some(["libc.so.6", "libc", "setjmp"]));
        check("usdt.s//a:b:libc:setjmp", Some(["/a:b", "libc", "setjmp"]));
        check("usdt//usr/lib/libc.so.6:libc:setjmp", None);
        check("usdt.s", None);
        for section in ["usdt.s/", "usdt.s/libc", "usdt.s/libc:setjmp", "usdt.s/:libc:setjmp"] {
            assert!(by_section(section).unwrap().is_err(), "{section}");
        }
    }
}
