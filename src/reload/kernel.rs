//! The kernel, as the supervisor needs it.

use crate::problem::Problem;
use crate::snapshot::{ProgramVerdict, View};
use crate::spec::{GlobalPatch, LoadSpec};

/// Loads, attaches, hands over and detaches.
pub trait Kernel: Sync {
    /// What is loaded: programs, links, maps. Dropping it detaches and closes.
    type Loaded: Send;
    /// What is in the kernel and not attached. Dropping it closes.
    type Prepared: Send;

    /// Loads an object beside what is running of the same config, whose maps it takes over where it can.
    ///
    /// # Errors
    /// Why nothing of it is loaded.
    fn prepare(
        &self,
        spec: &LoadSpec,
        running: Option<&Self::Loaded>,
    ) -> Result<Self::Prepared, Vec<Problem>>;

    /// What a scrape would see of it.
    fn view(&self, prepared: &Self::Prepared) -> View;

    /// Reads the beginning of every map with the rights that scrapes have, and tells which ones are refused.
    fn probe(&self, view: &View) -> Vec<Problem>;

    /// Attaches what was prepared and detaches what is running. `strictly` no program may fail.
    ///
    /// # Errors
    /// Why not; what is running is as it was.
    fn commit(
        &self,
        prepared: Self::Prepared,
        strictly: bool,
        running: Option<&mut Self::Loaded>,
    ) -> Result<Started<Self::Loaded>, Vec<Problem>>;

    /// Whether places of what is attached come and go.
    fn follows(&self, _loaded: &Self::Loaded) -> bool {
        false
    }

    /// Looks for places that have come or are gone; none when nothing has changed.
    fn follow(&self, _loaded: &mut Self::Loaded) -> Option<Moved> {
        None
    }

    /// Sets variables and follows other cgroups while the programs run, so that it is as if it had been loaded by
    /// another spec.
    ///
    /// # Errors
    /// Why not; nothing changed then, and it takes a new load.
    fn set(&self, loaded: &mut Self::Loaded, spec: &LoadSpec, changes: &[GlobalPatch]) -> Result<(), String>;

    /// What is loaded goes on as what another spec would load, which differs by its name alone.
    fn rename(&self, _loaded: &mut Self::Loaded, _spec: &LoadSpec) {}

    /// Opens the maps that others loaded anew, as another spec has them; what scrapes see then. None of a kernel
    /// without such maps.
    fn open_pins(&self, _loaded: &mut Self::Loaded, _spec: &LoadSpec) -> Option<View> {
        None
    }

    /// Waits until what was detached by a commit has run for the last time.
    fn settle(&self, loaded: &mut Self::Loaded);

    /// Detaches and closes all of these; side by side where that is safe, because one takes long.
    fn retire(&self, loaded: Vec<Self::Loaded>);

    /// The same because the exporter ends: what is to outlive it stays at work.
    fn leave(&self, loaded: Vec<Self::Loaded>) {
        self.retire(loaded);
    }

    /// Whether more is to be loaded: not when the process was asked to end meanwhile.
    fn goes_on(&self) -> bool {
        true
    }
}

/// What is at work after places have come or gone.
pub struct Moved {
    /// What scrapes may see of it.
    pub view: View,
    /// What was wrong with its programs before.
    pub before: Vec<Problem>,
    /// What is wrong with them now.
    pub problems: Vec<Problem>,
    /// What became of its programs.
    pub programs: Vec<ProgramVerdict>,
}

/// What is at work after a commit.
pub struct Started<T> {
    /// Owned by the supervisor until it retires it.
    pub loaded: T,
    /// What scrapes may see of it.
    pub view: View,
    /// What went wrong without costing the config, such as a program that did not attach.
    pub problems: Vec<Problem>,
    /// What became of its programs.
    pub programs: Vec<ProgramVerdict>,
    /// Maps that it has from what was running.
    pub carried: Vec<String>,
}
