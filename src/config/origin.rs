//! What a config was read from, to tell later whether any of it changed: by content, not by time.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{self, Opened};
use super::{ConfigFile, Options};
use crate::spec::FromPin;

/// The files of a config, as they were read.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    config: Option<Content>,
    object: Option<(PathBuf, Content)>,
    /// What `object:` says.
    object_name: Option<String>,
    is_drafted: bool,
    /// Whether it only reads maps that others loaded.
    needs_no_object: bool,
    /// Maps that others loaded.
    pins: Vec<FromPin>,
}

/// A file that was read.
#[derive(Clone, Debug)]
struct Content {
    bytes: Arc<[u8]>,
    is_weak: bool,
}

impl Content {
    fn equals(&self, now: &Opened) -> bool {
        self.is_weak == now.weakness.is_some() && *self.bytes == *now.bytes
    }
}

impl Origin {
    /// A config of which nothing is known yet but that it is drafted from its object.
    pub(super) fn drafted() -> Self {
        Self { is_drafted: true, ..Self::default() }
    }

    pub(super) fn found_config(&mut self, opened: &Opened) {
        self.config =
            Some(Content { bytes: opened.bytes.as_slice().into(), is_weak: opened.weakness.is_some() });
    }

    pub(super) fn found_object_name(&mut self, name: Option<&str>) {
        self.object_name = name.map(str::to_owned);
    }

    /// Keeps an object; its bytes, to be loaded.
    pub(super) fn found_object(&mut self, path: &Path, opened: Opened) -> Arc<[u8]> {
        let bytes: Arc<[u8]> = opened.bytes.into();
        let content = Content { bytes: Arc::clone(&bytes), is_weak: opened.weakness.is_some() };
        self.object = Some((path.to_owned(), content));
        bytes
    }

    /// Keeps which maps were found that others loaded.
    pub(super) fn found_pins(&mut self, needs_no_object: bool, pins: Vec<FromPin>) {
        (self.needs_no_object, self.pins) = (needs_no_object, pins);
    }

    /// Maps that others loaded, there or not.
    #[must_use]
    pub fn pins(&self) -> &[FromPin] {
        &self.pins
    }

    /// Whether the maps that others loaded are still those that were found.
    #[must_use]
    pub fn has_current_pins(&self, options: &Options) -> bool {
        self.pins.iter().all(|pin| options.host.pins().id(&pin.path) == pin.id)
    }

    /// Whether there is no file but the object.
    #[must_use]
    pub fn is_drafted(&self) -> bool {
        self.is_drafted
    }

    /// The bytes of the config's file; none when it could not be read, or there is none.
    #[must_use]
    pub fn config(&self) -> Option<&[u8]> {
        self.config.as_ref().map(|content| &*content.bytes)
    }

    /// Whether it was read from this object.
    #[must_use]
    pub fn is_of_object(&self, path: &Path) -> bool {
        self.object.as_ref().is_some_and(|(object, _)| object == path)
    }

    /// The bytes of the object; none when it could not be read.
    #[must_use]
    pub fn object(&self) -> Option<&[u8]> {
        self.object.as_ref().map(|(_, content)| &*content.bytes)
    }

    /// Every file that the config may be made of, there or not.
    #[must_use]
    pub fn places(&self, file: &ConfigFile, options: &Options) -> Vec<PathBuf> {
        let mut places = vec![file.path.clone()];
        places.extend(self.object.iter().map(|(path, _)| path.clone()));
        if !self.is_drafted {
            places.extend(files::object_places(file, self.object_name.as_deref(), options));
        }
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Whether reading the config again would give the same. What could not be read is always worth another try.
    #[must_use]
    pub fn is_current(&self, file: &ConfigFile, options: &Options) -> bool {
        let is_same_config = match &self.config {
            Some(config) => files::config(file).is_ok_and(|now| config.equals(&now)),
            None => self.is_drafted && !file.path.exists(),
        };
        let places = || files::object_places(file, self.object_name.as_deref(), options);
        let is_same_object = || match &self.object {
            Some((path, object)) => {
                let is_same_path =
                    self.is_drafted || places().iter().find(|path| path.exists()) == Some(path);
                is_same_path && files::object(file, path).is_ok_and(|now| object.equals(&now))
            }
            None => self.needs_no_object && !places().iter().any(|path| path.exists()),
        };
        is_same_config && is_same_object() && self.has_current_pins(options)
    }
}
