//! Functions in user space: `uprobe`, `uretprobe`, and `uprobe.multi`, which takes a pattern.

use std::path::Path;

use libbpf_rs::{ProgramMut, UprobeOpts};

use crate::bpf::explain::errno_of;
use crate::host::{Binary, Host};
use crate::spec::Uprobe;

use super::{AttachError, Attached, Missing, Target, refused};

/// All processes.
const EVERYBODY: i32 = -1;

/// A function in a file. Its path does not matter: a process's root leads to the same file as another's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bpf) struct At {
    binary: Binary,
    function: String,
    offset: usize,
    process: i32,
}

impl At {
    pub(super) fn path(&self) -> String {
        self.binary.path.display().to_string()
    }

    /// The file, and the function in it.
    pub(in crate::bpf) fn parts(&self) -> (&Path, &str) {
        (&self.binary.path, &self.function)
    }

    /// What tells it from others, whatever it is called just now.
    pub(super) fn key(&self) -> String {
        let Self { binary, function, offset, process } = self;
        format!("{:?} {function} {offset} {process}", binary.identity)
    }
}

pub(super) fn targets(wanted: &Uprobe, host: &Host) -> Vec<Target> {
    let (found, missing) = host.select_binaries(&wanted.binaries.files, &wanted.binaries.roots);
    let at = |binary| {
        Target::Uprobe(At {
            binary,
            function: wanted.function.clone(),
            offset: wanted.offset,
            process: wanted.binaries.process.unwrap_or(EVERYBODY),
        })
    };
    found
        .into_iter()
        .map(at)
        .chain(missing.into_iter().map(|file| Target::Missing(Missing::File(file))))
        .collect()
}

pub(super) fn attach(program: &ProgramMut<'_>, at: &At, section: &str) -> Result<Attached, AttachError> {
    let kind = section.split('/').next().unwrap_or_default();
    let retprobe = kind.starts_with("uretprobe");
    let link = if kind.contains(".multi") || kind.contains(".session") {
        let is_session = kind.contains(".session");
        program.attach_uprobe_multi(at.process, &at.binary.path, &at.function, retprobe, is_session)
    } else {
        let func_name = Some(at.function.clone()).filter(|name| !name.is_empty());
        let options = UprobeOpts { retprobe, func_name, ..UprobeOpts::default() };
        program.attach_uprobe_with_opts(at.process, &at.binary.path, at.offset, options)
    };
    link.map(Attached::Link).map_err(|error| refused(errno_of(&error)))
}
