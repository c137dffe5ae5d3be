//! Maps and links that are files below a BPF file system.

/// Events that wait while the exporter is away.
mod events;

/// Maps that somebody else loaded.
mod from_pin;

/// Programs and maps that go on while the exporter is away.
mod kept;

/// The same of each kind of place.
mod kinds;

/// Maps that outlive the exporter.
mod pin_path;

/// Configs that get another name, or go.
mod renamed;

/// Maps of several configs.
mod shared;

use std::path::Path;
use std::time::{Duration, Instant};

use libbpf_rs::{MapCore, MapFlags, Object, ObjectBuilder};

use crate::common::objects::compile;

/// How long anything that should happen soon may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody else: loads an object from C, and pins one of its maps.
pub struct Owner {
    object: Object,
}

impl Owner {
    #[track_caller]
    pub fn load(source: &str) -> Self {
        Self::of(&compile(source))
    }

    #[track_caller]
    pub fn of(object: &Path) -> Self {
        Self { object: ObjectBuilder::default().open_file(object).unwrap().load().unwrap() }
    }

    #[track_caller]
    pub fn pin(&mut self, map: &str, path: &Path) {
        self.object.maps_mut().find(|found| found.name() == map).unwrap().pin(path).unwrap();
    }

    /// Puts an entry of zeros into a map.
    #[track_caller]
    pub fn fill(&self, map: &str) {
        let found = self.object.maps().find(|found| found.name() == map).unwrap();
        let zeros = |size: u32| vec![0; size as usize];
        found.update(&zeros(found.key_size()), &zeros(found.value_size()), MapFlags::ANY).unwrap();
    }

    #[track_caller]
    pub fn put(&self, map: &str, key: &[u8], value: &[u8]) {
        let found = self.object.maps().find(|found| found.name() == map).unwrap();
        found.update(key, value, MapFlags::ANY).unwrap();
    }
}

/// Waits until something holds.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
