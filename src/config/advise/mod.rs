//! What is worth saying of a config beyond what it takes to serve it: one file per topic.
//!
//! `bpftally check` tells it; the exporter at work never does, because a config that the
//! reference serves is served without a word. Everything here is computed from what was
//! read: spec, object, and the types of the kernel that the object is meant for.

mod kernel;
mod merging;
mod naming;
mod needs;
mod object;
mod rings;
mod roles;
mod sample;
mod series;
mod settings;

use std::path::Path;

pub use kernel::Kernel;
pub use needs::{Needs, needs};
pub use settings::apply_settings;

use super::ConfigFile;
use crate::elf::{ObjectInfo, ProgramInfo};
use crate::problem::{Place, Problem};
use crate::spec::{Attach, MetricSpec, Spec};

/// What advice is given on.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The config.
    pub file: &'a ConfigFile,
    /// The object's file.
    pub object: &'a Path,
    /// What the object says of itself.
    pub info: &'a ObjectInfo,
    /// What of the config can be served.
    pub spec: Option<&'a Spec>,
    /// How many CPUs the machine that serves it can have.
    pub cpus: usize,
    /// The kernel that it is meant for, where its types are known.
    pub kernel: Option<&'a Kernel>,
}

/// All advice on a config, in the order of the file; what concerns its object goes last.
#[must_use]
pub fn advise(subject: &Subject<'_>) -> Vec<Problem> {
    let topics =
        [naming::advise, series::advise, merging::advise, object::advise, rings::advise, kernel::advise];
    super::sorted(topics.iter().flat_map(|topic| topic(subject)).collect())
}

impl Subject<'_> {
    fn metrics(&self) -> &[MetricSpec] {
        self.spec.map_or(&[], |spec| &spec.view.metrics)
    }

    /// The place of what concerns the object.
    fn object_place(&self) -> Place {
        super::files::object_place(self.file, self.object)
    }

    /// Where the config has a program attached, when it says so.
    fn attach(&self, program: &ProgramInfo) -> Option<&Attach> {
        let settings = self.spec.map_or(&[][..], |spec| &spec.load.programs);
        settings.iter().find(|setting| setting.name == program.name)?.attach.as_ref()
    }

    fn program_place(&self, program: &str) -> Place {
        Place { program: Some(program.to_owned()), ..self.object_place() }
    }

    fn map_place(&self, map: &str) -> Place {
        Place { map: Some(map.to_owned()), ..self.object_place() }
    }
}
