//! An object in the kernel, or none.

use std::collections::HashMap;

use libbpf_rs::{AsRawLibbpf, Map, MapCore, MapMut, Object, OpenMapMut, OpenObject, Program, ProgramMut};

/// An object in the kernel; a config that only reads maps of others has none, and with it neither programs nor maps.
#[derive(Debug, Default)]
pub(super) struct LoadedObject {
    object: Option<Object>,
    names: MapNames,
}

/// What the object calls its maps, by where libbpf keeps them: libbpf gives a map that it takes over the name that it
/// has in the kernel.
#[derive(Debug, Default)]
pub(super) struct MapNames(HashMap<usize, String>);

impl MapNames {
    /// Of an object that has taken over nothing yet.
    pub(super) fn of(object: &OpenObject) -> Self {
        let named = |map: libbpf_rs::OpenMap<'_>| {
            (map.as_libbpf_object().as_ptr() as usize, map.name().to_string_lossy().into_owned())
        };
        Self(object.maps().map(named).collect())
    }

    /// The name of a map that is not loaded yet.
    pub(super) fn name(&self, map: &OpenMapMut<'_>) -> &str {
        self.0.get(&(map.as_libbpf_object().as_ptr() as usize)).map_or("", String::as_str)
    }
}

impl LoadedObject {
    pub(super) fn new(object: Object, names: MapNames) -> Self {
        Self { object: Some(object), names }
    }

    pub(super) fn progs(&self) -> impl Iterator<Item = Program<'_>> {
        self.object.iter().flat_map(|object| object.progs())
    }

    pub(super) fn progs_mut(&self) -> impl Iterator<Item = ProgramMut<'_>> {
        self.object.iter().flat_map(|object| object.progs_mut())
    }

    pub(super) fn maps_mut(&mut self) -> impl Iterator<Item = MapMut<'_>> {
        self.object.iter_mut().flat_map(|object| object.maps_mut())
    }

    /// All maps, with their names in the object.
    pub(super) fn maps(&self) -> impl Iterator<Item = (String, Map<'_>)> {
        let named = |map: &Map<'_>| {
            let known = self.names.0.get(&(map.as_libbpf_object().as_ptr() as usize));
            known.cloned().unwrap_or_else(|| map.name().to_string_lossy().into_owned())
        };
        self.object.iter().flat_map(|object| object.maps()).map(move |map| (named(&map), map))
    }

    /// The map of a name.
    pub(super) fn map(&self, name: &str) -> Option<Map<'_>> {
        self.maps().find(|(found, _)| found == name).map(|(_, map)| map)
    }
}
