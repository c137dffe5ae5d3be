//! From the folder to checked configs, each with its problems.

use std::sync::Arc;

use super::verdict;
use crate::cli::Options;
use crate::config;
use crate::host::Host;
use crate::problem::Problem;
use crate::reload::ReadConfig;
use crate::scrape;
use crate::spec::Spec;

/// Reads every config that the command line names.
///
/// # Errors
/// When the folder itself cannot be used.
pub fn read(options: &Options, host: &Arc<Host>) -> Result<Vec<ReadConfig>, Vec<Problem>> {
    let names = options.config.names.clone().unwrap_or_default();
    let discovered = config::discover(&options.config.dir, &names)?;
    let how = config::Options {
        namespace: options.namespace.clone(),
        object_dir: options.config.object_dir.clone(),
        host: Arc::clone(host),
    };
    let mut configs: Vec<ReadConfig> = discovered
        .configs
        .iter()
        .map(|file| read_config(&file.name, config::read(file, &how), false))
        .collect();
    if options.config.auto && options.config.names.is_none() {
        drafted(&mut configs, options, &how);
    }
    for problem in discovered.problems {
        complain(&mut configs, problem);
    }
    settle(&mut configs);
    Ok(configs)
}

fn read_config(name: &str, checked: config::Checked, drafted: bool) -> ReadConfig {
    ReadConfig { name: name.to_owned(), spec: checked.spec, problems: checked.problems, drafted }
}

/// Adds objects that no config loads, by the configs that are drafted for them.
fn drafted(configs: &mut Vec<ReadConfig>, options: &Options, how: &config::Options) {
    let objects = match config::without_config(&options.config.dir) {
        Ok(objects) => objects,
        Err(error) => {
            tracing::warn!(%error, "the folder cannot be read: --config.auto has no effect");
            return;
        }
    };
    for (file, object) in objects {
        let loads = |config: &ReadConfig| config.spec.as_ref().is_some_and(|spec| spec.load.object == object);
        if configs.iter().any(loads) {
            continue;
        }
        let object_name = object.display().to_string();
        tracing::info!(
            config = file.name,
            object = object_name,
            auto = true,
            "no config: served by a drafted one"
        );
        let checked = config::read_drafted(&file, &object, how);
        configs.push(read_config(&file.name, checked, true));
    }
    configs.sort_by(|one, other| one.name.cmp(&other.name));
}

/// Lets the configs agree on who owns which family; the later in the order of names gives way.
fn settle(configs: &mut Vec<ReadConfig>) {
    let mut specs: Vec<Spec> = configs.iter_mut().filter_map(|config| config.spec.take()).collect();
    let refused = config::settle_families(&mut specs, &scrape::reserved);
    for spec in specs {
        if let Some(config) = configs.iter_mut().find(|config| config.name == spec.load.name) {
            config.spec = Some(spec);
        }
    }
    for problem in refused {
        complain(configs, problem);
    }
}

/// Adds a problem to its config; one that names a config which is not there makes it known as missing.
fn complain(configs: &mut Vec<ReadConfig>, problem: Problem) {
    let Some(name) = problem.place.config.clone() else {
        verdict::log(&[problem]);
        return;
    };
    match configs.iter_mut().find(|config| config.name == name) {
        Some(config) => config.problems.push(problem),
        None => configs.push(ReadConfig { name, spec: None, problems: vec![problem], drafted: false }),
    }
}
