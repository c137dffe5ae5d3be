//! Maps that somebody pinned below the BPF file system, as far as they can be known without being read.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A map as the kernel describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PinnedMap {
    /// The kernel's number of it: another map has another one.
    pub id: u32,
    /// The kernel's number of its kind.
    pub kind: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value, of one CPU.
    pub value_size: u32,
    /// Its capacity.
    pub max_entries: u32,
    /// Flags of its creation.
    pub flags: u32,
    /// What some kinds want beside the flags.
    pub extra: u64,
    /// Its types; none of a map that was made without.
    pub types: Option<PinnedTypes>,
    /// Why its types cannot be read although it has some.
    pub untold: Option<String>,
}

/// The types of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedTypes {
    /// Raw BTF.
    pub btf: Arc<[u8]>,
    /// The key's type in it, 0 for none.
    pub key: u32,
    /// The value's type in it, 0 for none.
    pub value: u32,
}

/// Who can look at pins.
pub trait PinnedMaps: Debug + Send + Sync {
    /// What is pinned at a path.
    ///
    /// # Errors
    /// When there is nothing, or no map.
    fn look(&self, path: &Path) -> io::Result<PinnedMap>;

    /// The number of the map that is pinned at a path; none where there is no map that could be read.
    fn id(&self, path: &Path) -> Option<u32> {
        self.look(path).ok().map(|map| map.id)
    }
}

/// A machine without pins.
#[derive(Debug)]
pub(super) struct NoPins;

impl PinnedMaps for NoPins {
    fn look(&self, _path: &Path) -> io::Result<PinnedMap> {
        Err(io::Error::from(io::ErrorKind::NotFound))
    }
}
