//! Maps that others pinned: what they are, and reading them.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::host::{PinnedMap, PinnedMaps, PinnedTypes};
use crate::snapshot::NamedSource;
use crate::spec::{LoadSpec, MapDefinition};

use super::raw::{self, MapDescription};
use super::read::MapSource;

/// Looks at pins. It remembers the types of each: reading them takes `CAP_SYS_ADMIN`, which may be given up by the
/// time that the same program pins its map anew.
#[derive(Debug, Default)]
pub struct Pins {
    known: Mutex<HashMap<PathBuf, (MapDescription, PinnedTypes)>>,
}

impl PinnedMaps for Pins {
    fn look(&self, path: &Path) -> io::Result<PinnedMap> {
        let map = raw::open_pinned_map(path, true)?;
        let facts = raw::describe_map(map.as_fd())?;
        let (types, untold) = match self.types(path, &facts) {
            Ok(types) => (types, None),
            Err(error) => (None, Some(error.to_string())),
        };
        Ok(PinnedMap {
            id: facts.id,
            kind: facts.kind,
            key_size: facts.key_size,
            value_size: facts.value_size,
            max_entries: facts.max_entries,
            flags: facts.flags,
            extra: facts.extra,
            types,
            untold,
        })
    }

    fn id(&self, path: &Path) -> Option<u32> {
        let map = raw::open_pinned_map(path, true).ok()?;
        raw::describe_map(map.as_fd()).ok().map(|facts| facts.id)
    }
}

impl Pins {
    fn types(&self, path: &Path, facts: &MapDescription) -> io::Result<Option<PinnedTypes>> {
        if facts.btf == 0 {
            return Ok(None);
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match raw::btf(facts.btf) {
            Ok(btf) => {
                let types = PinnedTypes { btf: Arc::from(btf), key: facts.key_type, value: facts.value_type };
                known.insert(path.to_owned(), (*facts, types.clone()));
                Ok(Some(types))
            }
            Err(error) => {
                // What else is the same is most likely made from the same object.
                let is_alike = |known: &MapDescription| {
                    MapDescription { id: known.id, btf: known.btf, ..*facts } == *known
                };
                let before = known.get(path).filter(|(known, _)| is_alike(known));
                before.map(|(_, types)| Some(types.clone())).ok_or(error)
            }
        }
    }
}

/// The maps that others loaded, opened for reading alone. One that is gone, or is another one than the config was
/// checked against, is left out: whoever follows pins has the config checked anew.
pub(super) fn sources(spec: &LoadSpec) -> Vec<NamedSource> {
    let mut sources = Vec::new();
    for pin in spec.pins.iter().filter(|pin| pin.id.is_some()) {
        let open = || {
            let map = raw::open_pinned_map(&pin.path, true)?;
            if Some(raw::describe_map(map.as_fd())?.id) != pin.id {
                return Err(io::Error::other("it is another map meanwhile"));
            }
            MapSource::new(map)
        };
        match open() {
            Ok(source) => sources.push(NamedSource { map: pin.map.clone(), source: Arc::new(source) }),
            // Its kind was told when the config was checked.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(error) => {
                let path = pin.path.display().to_string();
                tracing::info!(config = spec.name, map = pin.map, path, %error, "the pinned map is not read");
            }
        }
    }
    sources
}

/// What a map in the kernel is, comparable with what an object defines.
pub(super) fn definition(name: &str, facts: &MapDescription) -> MapDefinition {
    let btf = (facts.btf > 0).then(|| raw::btf(facts.btf).ok()).flatten();
    let btf = btf.and_then(|bytes| crate::btf::Btf::parse(&bytes).ok());
    let shape = |id: u32| {
        let btf = btf.as_ref().filter(|_| id > 0)?;
        btf.shape(crate::btf::TypeId(id))
    };
    MapDefinition {
        name: name.to_owned(),
        kind: facts.kind,
        key_size: facts.key_size,
        value_size: facts.value_size,
        max_entries: facts.max_entries,
        flags: facts.flags,
        extra: facts.extra,
        numa_node: None,
        types: [facts.key_type, facts.value_type].map(|id| shape(id).unwrap_or_default()),
    }
}
