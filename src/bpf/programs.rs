//! What the kernel says of the programs of one config.

use std::os::fd::{AsFd, OwnedFd};

use crate::snapshot::{ProgramStatus, Programs, ReadError};

use super::raw::{ProgramFacts, program_facts, run_iterator};

/// The loaded programs of one config, by descriptors of their own: they keep the programs
/// in memory, but not attached.
#[derive(Debug, Default)]
pub(super) struct ProgramTable {
    pub(super) programs: Vec<LoadedProgram>,
    /// Links of those that run at each scrape, by descriptors of their own: attached they only wait to be asked.
    pub(super) iterators: Vec<OwnedFd>,
}

/// One loaded program.
#[derive(Debug)]
pub(super) struct LoadedProgram {
    pub(super) name: String,
    pub(super) attached: bool,
    pub(super) descriptor: OwnedFd,
}

impl Programs for ProgramTable {
    fn programs(&self) -> Vec<ProgramStatus> {
        self.programs.iter().filter_map(LoadedProgram::status).collect()
    }

    fn run(&self) -> Result<(), ReadError> {
        for link in &self.iterators {
            run_iterator(link.as_fd()).map_err(|error| ReadError::Kernel {
                operation: "running an iterator",
                message: error.to_string(),
                errno: error.raw_os_error().unwrap_or_default(),
            })?;
        }
        Ok(())
    }
}

impl LoadedProgram {
    fn status(&self) -> Option<ProgramStatus> {
        let ProgramFacts { id, tag, run_time, run_count, missed, .. } =
            program_facts(self.descriptor.as_fd()).ok()?;
        Some(ProgramStatus {
            name: self.name.clone(),
            id,
            tag: format!("{:016x}", u64::from_be_bytes(tag)),
            attached: self.attached,
            run_time,
            run_count,
            missed,
        })
    }
}
