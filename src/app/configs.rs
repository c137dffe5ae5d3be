//! From the folder to checked configs, each with its problems, again and again.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::cli::Options;
use crate::config::{self, ConfigFile, Insecure, Origin};
use crate::host::Host;
use crate::problem::Problem;
use crate::reload::{Folder, Followed, Found, Provenance, ReadConfig, Watcher};
use crate::spec::Spec;

/// Files may change between being looked at and being watched, but not for ever.
const LOOKS: u32 = 4;

/// The folder of configs with their objects.
pub struct ConfigFolder {
    dir: PathBuf,
    names: Vec<String>,
    is_auto: bool,
    how: config::Options,
    /// What was read last, by file.
    known: BTreeMap<PathBuf, Known>,
    watcher: Option<Arc<Watcher>>,
    /// What was found last.
    last: Found,
}

/// A config that was read.
struct Known {
    origin: Origin,
    config: ReadConfig,
}

impl ConfigFolder {
    /// The folder that the command line names. What is there at the start was meant to be: whoever else can
    /// write it is warned of. Later changes of such files are not followed.
    pub fn new(options: &Options, host: &Arc<Host>) -> Self {
        let insecure = if options.config.allow_insecure { Insecure::Allowed } else { Insecure::Warned };
        let names = options.config.names.clone().unwrap_or_default();
        Self {
            dir: options.config.dir.clone(),
            is_auto: options.config.auto && options.config.names.is_none(),
            names,
            how: config::Options {
                namespace: options.namespace.clone(),
                max_series: options.max_series,
                object_dir: options.config.object_dir.clone(),
                host: Arc::clone(host),
                insecure,
            },
            known: BTreeMap::new(),
            watcher: None,
            last: Found::default(),
        }
    }

    /// From now on changes are followed, and files are judged by who can write them.
    pub fn follow(&mut self, watcher: Arc<Watcher>) {
        if self.how.insecure == Insecure::Warned {
            self.how.insecure = Insecure::Refused;
        }
        self.watcher = Some(watcher);
    }

    fn look(&mut self) -> Result<Found, Vec<Problem>> {
        let discovered = config::discover(&self.dir, &self.names)?;
        let mut known = std::mem::take(&mut self.known);
        let mut read = BTreeMap::new();
        for file in &discovered.configs {
            let before = known.remove(&file.path);
            read.insert(file.path.clone(), self.config(file, before));
        }
        if self.is_auto {
            self.drafted(&mut read, &mut known);
        }
        self.known = read;
        let mut found = Found {
            configs: self.known.values().map(|known| known.config.clone()).collect(),
            problems: Vec::new(),
        };
        for problem in discovered.problems {
            complain(&mut found, problem);
        }
        found.configs.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    /// Reads a config, unless what was read before is still what its files say.
    fn config(&self, file: &ConfigFile, before: Option<Known>) -> Known {
        if let Some(known) = before.filter(|known| known.origin.is_current(file, &self.how)) {
            return known;
        }
        let config::Examined { checked, origin, .. } = config::examine(file, &self.how);
        self.known(file, checked, origin)
    }

    fn known(&self, file: &ConfigFile, checked: config::Checked, origin: Origin) -> Known {
        let config::Checked { spec, problems } = checked;
        if self.watcher.is_some() && spec.as_ref().is_some_and(Spec::asks_for_symbols) {
            // The threads that serve scrapes may not be allowed to.
            let _ = self.how.host.open_symbols();
        }
        let provenance = Provenance {
            config: origin.config().map(sha256),
            object: origin.object().map(sha256),
            drafted: origin.is_drafted(),
            pins: origin.pins().iter().map(|pin| pin.id).collect(),
        };
        let config = ReadConfig { name: file.name.clone(), spec, problems, provenance, is_missing: false };
        Known { origin, config }
    }

    /// Adds objects that no config loads, by the configs that are drafted for them.
    fn drafted(&self, read: &mut BTreeMap<PathBuf, Known>, known: &mut BTreeMap<PathBuf, Known>) {
        let objects = match config::without_config(&self.dir) {
            Ok(objects) => objects,
            Err(error) => {
                tracing::warn!(%error, "the folder cannot be read: --config.auto has no effect");
                return;
            }
        };
        for (file, object) in objects {
            let loads =
                |known: &Known| known.config.spec.as_ref().is_some_and(|spec| spec.load.object == object);
            if read.values().any(loads) {
                continue;
            }
            // Another object of that name may have come, which this machine prefers.
            let is_same = |known: &Known| {
                known.origin.is_of_object(&object) && known.origin.is_current(&file, &self.how)
            };
            let before = known.remove(&file.path).filter(is_same);
            let drafted = before.unwrap_or_else(|| {
                let object_name = object.display().to_string();
                tracing::info!(
                    config = file.name,
                    object = object_name,
                    auto = true,
                    "no config: served by a drafted one"
                );
                let (checked, origin) = config::read_drafted(&file, &object, &self.how);
                self.known(&file, checked, origin)
            });
            read.insert(file.path.clone(), drafted);
        }
    }

    /// Every file that matters.
    fn places(&self) -> Followed {
        let named =
            self.names.iter().map(|name| self.dir.join(format!("{}.yaml", name.trim_start_matches('/'))));
        let mut files: Vec<PathBuf> = named.collect();
        for (path, known) in &self.known {
            let file = ConfigFile { name: known.config.name.clone(), path: path.clone() };
            files.extend(known.origin.places(&file, &self.how));
        }
        Followed { folders: vec![self.dir.clone()], files }
    }
}

impl Folder for ConfigFolder {
    fn read(&mut self) -> Result<Found, Vec<Problem>> {
        let mut found = self.look();
        for _ in 1..LOOKS {
            let Some(watcher) = &self.watcher else { break };
            if !watcher.follow(&self.places()) {
                break;
            }
            found = self.look();
        }
        if let Ok(found) = &found {
            self.last.clone_from(found);
        }
        found
    }

    fn follows(&self) -> bool {
        self.known.values().any(|known| !known.origin.pins().is_empty())
    }

    fn read_pins(&mut self) -> Option<Found> {
        let stale = |known: &Known| !known.origin.has_current_pins(&self.how);
        let files = self.known.iter().filter(|(_, known)| stale(known));
        let files: Vec<ConfigFile> = files
            .map(|(path, known)| ConfigFile { name: known.config.name.clone(), path: path.clone() })
            .collect();
        if files.is_empty() {
            return None;
        }
        for file in files {
            let known = self.config(&file, None);
            let now = known.config.clone();
            let Some(before) = self.known.insert(file.path, known) else { continue };
            if let Some(config) = self.last.configs.iter_mut().find(|config| config.name == file.name) {
                // What the folder said of it is true as before.
                let of_folder =
                    config.problems.iter().filter(|problem| !before.config.problems.contains(problem));
                let of_folder: Vec<Problem> = of_folder.cloned().collect();
                *config = now;
                config.problems.extend(of_folder);
            }
        }
        Some(self.last.clone())
    }
}

/// Adds a problem to its config; one that names a config which is not there makes it known as missing.
fn complain(found: &mut Found, problem: Problem) {
    let Some(name) = problem.place.config.clone() else {
        found.problems.push(problem);
        return;
    };
    match found.configs.iter_mut().find(|config| config.name == name) {
        Some(config) => config.problems.push(problem),
        None => {
            let is_missing = problem.code == "missing-config";
            let problems = vec![problem];
            found.configs.push(ReadConfig { name, problems, is_missing, ..ReadConfig::default() });
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
