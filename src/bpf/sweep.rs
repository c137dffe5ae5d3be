//! What is kept of configs that are not there under their names any more.
//!
//! A config that was renamed while no exporter ran is known again by what it loads: its programs went on counting, and are
//! not to begin anew for a name.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::spec::LoadSpec;

use super::keep::{Folder, Keep, entries, escaped, fingerprint, is_of};
use super::left::Left;

impl Keep {
    /// Gives a config what is kept of it under a name that no config has any more, and removes the rest of that.
    /// Configs are told by their names, and what they load as far as that is known.
    pub fn sweep(&self, configs: &[(&str, Option<&LoadSpec>)]) {
        let known: HashSet<String> = configs.iter().map(|(name, _)| escaped(name)).collect();
        let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        for path in entries(&self.root) {
            if name(&path).is_some_and(|name| known.contains(&name)) {
                continue;
            }
            let was = path.display().to_string();
            match self.renamed(&path, configs) {
                Some((config, to)) if std::fs::rename(&path, &to).is_ok() => {
                    tracing::info!(config, was, "renamed: it goes on with what was kept under another name");
                }
                _ => {
                    tracing::info!(path = was, "removed: there is no such config any more");
                    let folders = entries(&path).into_iter().map(|folder| (Folder::at(folder), false));
                    Left::new(folders.collect()).remove();
                    let _ = std::fs::remove_dir(&path);
                }
            }
        }
    }

    /// The config that loads what a folder of another name was made for, and has nothing of its own, with where that
    /// is to be.
    fn renamed<'a>(
        &self,
        folder: &Path,
        configs: &[(&'a str, Option<&'a LoadSpec>)],
    ) -> Option<(&'a str, PathBuf)> {
        let kept = entries(folder);
        configs.iter().find_map(|(name, spec)| {
            let (fingerprint, to) = (fingerprint(spec.as_ref()?), self.root.join(escaped(name)));
            let is_it = !to.exists() && kept.iter().any(|folder| is_of(folder, &fingerprint));
            is_it.then_some((*name, to))
        })
    }
}
