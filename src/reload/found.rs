//! What the files say.

use crate::problem::Problem;
use crate::spec::Spec;

/// A config as it was read: its spec, unless it is wrong as a whole.
#[derive(Clone, Debug, Default)]
pub struct ReadConfig {
    /// Its name: the stem of its file.
    pub name: String,
    /// What it means; none when a problem costs the whole config.
    pub spec: Option<Spec>,
    /// Everything that is wrong with it.
    pub problems: Vec<Problem>,
    /// What it was read from.
    pub provenance: Provenance,
    /// Whether it is only known because it was asked for by its name: there is no such file.
    pub is_missing: bool,
}

/// Where a config comes from: SHA-256 of its files, as hex digits; none of what could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// Of the YAML file.
    pub config: Option<String>,
    /// Of the object.
    pub object: Option<String>,
    /// Whether there is no YAML file: it was drafted from its object.
    pub drafted: bool,
    /// Of the maps that others loaded, the kernel's numbers; none of those that are not there.
    pub pins: Vec<Option<u32>>,
}

/// All configs of the folder.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The configs by name.
    pub configs: Vec<ReadConfig>,
    /// What is wrong with no config in particular.
    pub problems: Vec<Problem>,
}

/// Where configs come from.
pub trait Folder {
    /// Reads everything again. Metrics are not yet settled between configs.
    ///
    /// # Errors
    /// When it cannot be told which configs there are.
    fn read(&mut self) -> Result<Found, Vec<Problem>>;

    /// Whether it has to be looked again and again for what nobody tells of: maps that others load.
    fn follows(&self) -> bool {
        false
    }

    /// Reads those configs again whose maps, loaded by others, are not those that they were; none when all are.
    fn read_pins(&mut self) -> Option<Found> {
        None
    }
}

/// Enough of a config to tell whether it is another one than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    provenance: Provenance,
    has_spec: bool,
    problems: Vec<Problem>,
}

impl ReadConfig {
    pub(super) fn seen(&self) -> Seen {
        let (provenance, problems) = (self.provenance.clone(), self.problems.clone());
        Seen { provenance, has_spec: self.spec.is_some(), problems }
    }
}

impl Seen {
    pub(super) fn is_drafted(&self) -> bool {
        self.provenance.drafted
    }
}
