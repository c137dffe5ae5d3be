//! A map that holds which cgroups are meant.

use std::sync::Arc;

use crate::decode::Matcher;

/// What the map's entries belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupMapKind {
    /// A hash by the cgroup's id.
    Hash,
    /// The kernel keeps them with the cgroup, and gives them up with it.
    Storage,
}

/// A map with an entry for each cgroup whose path matches.
#[derive(Clone, Debug)]
pub struct CgroupMap {
    /// The map's name.
    pub map: String,
    /// Its kind.
    pub kind: CgroupMapKind,
    /// The expressions, as they were written.
    pub patterns: Vec<String>,
    /// The same to match with.
    pub matcher: Arc<Matcher>,
}

impl PartialEq for CgroupMap {
    fn eq(&self, other: &Self) -> bool {
        self.map == other.map && self.kind == other.kind && self.patterns == other.patterns
    }
}
