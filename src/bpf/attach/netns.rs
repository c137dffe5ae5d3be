//! Network namespaces: `sk_lookup` and `flow_dissector`.

use std::fs::File;
use std::os::fd::AsFd;

use libbpf_rs::ProgramMut;

use crate::bpf::raw::{self, LinkTarget};
use crate::host::{Binary, Host};

use super::{AttachError, Attached, Missing, Target, refused_by_kernel};

/// The namespace of the calling thread, which is the exporter's.
const OWN: &str = "/proc/thread-self/ns/net";

/// A namespace, whatever file stands for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bpf) struct At {
    file: Binary,
    hook: u32,
}

impl At {
    pub(super) fn path(&self) -> String {
        self.file.path.display().to_string()
    }

    /// What tells it from others, whatever it is called just now.
    pub(super) fn key(&self) -> String {
        format!("{:?} {}", self.file.identity, self.hook)
    }
}

/// The exporter's own namespace, for sections of namespaces.
pub(super) fn by_section(section: &str) -> Option<Vec<String>> {
    matches!(section, "sk_lookup" | "flow_dissector").then(|| vec![OWN.to_owned()])
}

pub(super) fn follows(paths: &[String]) -> bool {
    paths.iter().any(|path| path != OWN)
}

pub(super) fn targets(paths: &[String], hook: u32, host: &Host) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for path in paths {
        let found = host.select_paths(path);
        if found.is_empty() && !path.contains(['*', '?']) {
            targets.push(Target::Missing(Missing::File(path.clone())));
        }
        for file in found {
            let target = Target::Netns(At { file, hook });
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
    }
    targets
}

pub(super) fn attach(program: &ProgramMut<'_>, at: &At) -> Result<Attached, AttachError> {
    let link = File::open(&at.file.path)
        .and_then(|file| raw::create_link(program, LinkTarget::Descriptor(file.as_fd()), at.hook, 0))
        .map_err(|error| refused_by_kernel(&error))?;
    Ok(Attached::Own { link, is_exact: true, is_quick: true })
}
