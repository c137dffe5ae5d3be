//! Maps that configs share by a name.
//!
//! The first config that is loaded makes the map, the others take it. Each holds it as long as it is loaded, so that it
//! lives over reloads of any of them.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use libbpf_rs::OpenObject;

use crate::problem::{Place, Problem};
use crate::spec::{Difference, LoadSpec};

use super::loaded::Loaded;
use super::object::{LoadedObject, MapNames};
use super::pinning;

/// The maps that are shared now, by their names.
#[derive(Debug, Default)]
pub struct SharedMaps(Mutex<Known>);

/// While a config takes over from itself there may be two of a name: the last one is the one to be.
type Known = HashMap<String, Vec<Weak<SharedMap>>>;

/// One map, held by those who share it.
#[derive(Debug)]
pub(super) struct SharedMap {
    name: String,
    map: OwnedFd,
}

/// The shared maps while a config is being loaded: nobody else makes or takes one meanwhile.
pub(super) struct Sharing<'a> {
    known: Option<MutexGuard<'a, Known>>,
    /// Those that the config has.
    held: Vec<Arc<SharedMap>>,
}

impl SharedMaps {
    /// Begins to load a config. One without shared maps waits for nobody.
    pub(super) fn begin(&self, spec: &LoadSpec) -> Sharing<'_> {
        let is_needed = spec.maps.iter().any(|setting| setting.shared.is_some());
        let known = is_needed.then(|| self.0.lock().unwrap_or_else(PoisonError::into_inner));
        Sharing { known, held: Vec::new() }
    }
}

impl Sharing<'_> {
    /// Has an object use the shared maps that there are.
    ///
    /// # Errors
    /// All that do not fit.
    pub(super) fn take(
        &mut self,
        object: &mut OpenObject,
        names: &MapNames,
        spec: &LoadSpec,
        running: Option<&Loaded>,
    ) -> Result<(), Vec<Problem>> {
        self.held.clear();
        let mut problems = Vec::new();
        for mut map in object.maps_mut() {
            let own = names.name(&map).to_owned();
            let Some(name) = shared_name(spec, &own) else { continue };
            let Some(there) = self.find(name) else { continue };
            let differences = pinning::differences(spec, &own, there.map.as_fd());
            if differences.is_empty() {
                match map.reuse_fd(there.map.as_fd()) {
                    Ok(()) => self.held.push(there),
                    Err(error) => problems.push(unfit(
                        spec,
                        &own,
                        name,
                        Difference {
                            what: "map".to_owned(),
                            expected: "one that libbpf takes".to_owned(),
                            found: error.to_string(),
                        },
                    )),
                }
            } else if !is_held_by_alone(&there, running) {
                problems
                    .extend(differences.into_iter().map(|difference| unfit(spec, &own, name, difference)));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// Lets others have the maps that were made; what the config shares.
    pub(super) fn offer(mut self, object: &LoadedObject, spec: &LoadSpec) -> Vec<Arc<SharedMap>> {
        let Some(known) = &mut self.known else { return self.held };
        for (own, map) in object.maps() {
            let Some(name) = shared_name(spec, &own) else { continue };
            if self.held.iter().any(|held| held.name == name) {
                continue;
            }
            match map.as_fd().try_clone_to_owned() {
                Ok(map) => {
                    let shared = Arc::new(SharedMap { name: name.to_owned(), map });
                    let of_name = known.entry(name.to_owned()).or_default();
                    of_name.retain(|map| map.strong_count() > 0);
                    of_name.push(Arc::downgrade(&shared));
                    self.held.push(shared);
                }
                Err(error) => tracing::warn!(config = spec.name, map = own, %error, "the map is not shared"),
            }
        }
        self.held
    }

    fn find(&self, name: &str) -> Option<Arc<SharedMap>> {
        self.known.as_ref()?.get(name)?.iter().rev().find_map(Weak::upgrade)
    }
}

/// The name by which a map of a config is shared.
pub(super) fn shared_name<'a>(spec: &'a LoadSpec, map: &str) -> Option<&'a str> {
    spec.setting(map)?.shared.as_deref()
}

/// Whether nobody holds a map but what is about to be replaced: then it may become another one.
fn is_held_by_alone(map: &Arc<SharedMap>, running: Option<&Loaded>) -> bool {
    let own =
        running.map_or(0, |running| running.shares.iter().filter(|share| Arc::ptr_eq(share, map)).count());
    // One more is the caller's.
    Arc::strong_count(map) == own + 1
}

fn unfit(spec: &LoadSpec, own: &str, name: &str, difference: Difference) -> Problem {
    let place = Place {
        config: Some(spec.name.clone()),
        path: format!("maps.{own}.shared"),
        map: Some(own.to_owned()),
        ..Place::default()
    };
    let message =
        format!("the map that is shared as `{name}` is not `{own}`: it differs in {}", difference.what);
    Problem::error("shared-layout", place, message)
        .expected(difference.expected)
        .found(difference.found)
        .help("define it alike in all objects that share it, or share it by another name in each of their configs")
}
