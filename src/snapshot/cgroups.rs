//! How a map fares that follows cgroups.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is counted of the map that holds which cgroups are meant.
#[derive(Debug, Default)]
pub struct CgroupTally(Mutex<CgroupCounts>);

/// The counts of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CgroupCounts {
    /// The map; empty when none follows cgroups.
    pub map: String,
    /// Cgroups that are in it.
    pub cgroups: u64,
    /// Writes to it that failed, by reason.
    pub errors: BTreeMap<&'static str, u64>,
}

impl CgroupTally {
    /// What was counted; none when no map follows cgroups.
    #[must_use]
    pub fn counts(&self) -> Option<CgroupCounts> {
        let counts = self.lock();
        (!counts.map.is_empty()).then(|| counts.clone())
    }

    /// Changes what is counted.
    pub fn update(&self, change: impl FnOnce(&mut CgroupCounts)) {
        change(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, CgroupCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
