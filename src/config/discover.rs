//! Which files of a folder are configs.

use std::io;
use std::path::{Path, PathBuf};

use super::architecture;
use crate::problem::{Place, Problem};

/// One config: its name and its file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigFile {
    /// The stem of the file, which names the config everywhere.
    pub name: String,
    /// The file.
    pub path: PathBuf,
}

impl ConfigFile {
    /// The config in a file; its name is the stem.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        Self { name, path }
    }

    /// The place of problems that concern the config as a whole.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { config: Some(self.name.clone()), file: Some(self.path.clone()), ..Place::default() }
    }
}

/// The configs of a folder, and what is wrong with some of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovered {
    /// What was found, sorted by name; a named config that is missing is among the problems only.
    pub configs: Vec<ConfigFile>,
    /// What concerns single configs.
    pub problems: Vec<Problem>,
}

/// Finds the configs of a folder: those named, or every `*.yaml` when no name is given.
///
/// # Errors
/// What makes it impossible to tell which configs are meant: the folder cannot be read,
/// a name is given twice or is none.
pub fn discover(dir: &Path, names: &[String]) -> Result<Discovered, Vec<Problem>> {
    if !dir.is_dir() {
        let found = match std::fs::metadata(dir) {
            Ok(_) => "something that is not a folder".to_owned(),
            Err(error) => error.to_string(),
        };
        return Err(vec![folder_problem(dir, "the folder of configs cannot be read").found(found)]);
    }
    if names.is_empty() {
        return every(dir).map_err(|error| {
            vec![folder_problem(dir, "the folder of configs cannot be read").found(error.to_string())]
        });
    }
    named(dir, names)
}

/// Objects of a folder without a config of their name beside them, each with the config that it would have.
///
/// # Errors
/// When the folder cannot be read.
pub fn without_config(dir: &Path) -> io::Result<Vec<(ConfigFile, PathBuf)>> {
    let mut found: Vec<(ConfigFile, PathBuf)> = Vec::new();
    let mut paths = std::fs::read_dir(dir)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<PathBuf>>>()?;
    // What is for other machines is none of this one; what is for this one goes before what is for all.
    paths.retain(|path| {
        architecture::of_file(path).is_none_or(|architecture| architecture == architecture::OWN)
    });
    paths.sort_unstable_by_key(|path| (architecture::of_file(path).is_none(), path.clone()));
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix(".bpf.o").filter(|stem| !stem.is_empty()) else { continue };
        let stem = architecture::without(stem, architecture::OWN);
        let file = ConfigFile::new(dir.join(format!("{stem}.yaml")));
        if !file.path.exists() && !found.iter().any(|(known, _)| known.name == file.name) {
            found.push((file, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn named(dir: &Path, names: &[String]) -> Result<Discovered, Vec<Problem>> {
    let mut refused = Vec::new();
    let mut found = Discovered::default();
    for (index, name) in names.iter().enumerate() {
        if let Err(why) = check_name(name) {
            refused.push(
                Problem::error(
                    "bad-config-name",
                    Place::default(),
                    format!("{name:?} cannot be the name of a config"),
                )
                .expected("the name of a file in the folder of configs without `.yaml`")
                .found(why),
            );
        } else if names[..index].contains(name) {
            let message = format!("the config `{name}` is named twice");
            refused.push(Problem::error("duplicate-config", Place::default(), message).help("name it once"));
        } else {
            add_named(dir, name, &mut found);
        }
    }
    if !refused.is_empty() {
        return Err(refused);
    }
    found.configs.sort_unstable();
    Ok(found)
}

fn check_name(name: &str) -> Result<(), &'static str> {
    // As in the reference a name may lead into a folder below.
    match name.rsplit('/').next().unwrap_or_default() {
        "" => Err(if name.is_empty() { "an empty name" } else { "a folder" }),
        "." | ".." => Err("a folder"),
        _ if name.contains('\0') => Err("a NUL byte"),
        _ => Ok(()),
    }
}

fn add_named(dir: &Path, name: &str, found: &mut Discovered) {
    let config = ConfigFile {
        name: name.to_owned(),
        path: dir.join(format!("{}.yaml", name.trim_start_matches('/'))),
    };
    // What is there but cannot be read says so when it is read.
    if matches!(std::fs::metadata(&config.path), Err(error) if error.kind() == io::ErrorKind::NotFound) {
        let mut problem =
            Problem::error("missing-config", config.place(), format!("there is no config `{name}`"));
        problem.help = if dir.join(format!("{name}.yml")).is_file() {
            Some(format!("rename `{name}.yml` to `{name}.yaml`"))
        } else if let Some(stem) = name.strip_suffix(".yaml") {
            Some(format!("write `{stem}`: names go without `.yaml`"))
        } else if name.trim() != name {
            Some("names are taken as they are, with their spaces: remove them".to_owned())
        } else {
            let all = every(dir).map(|all| all.configs).unwrap_or_default();
            super::suggest::help("configs there are", name, all.iter().map(|config| config.name.as_str()))
        };
        found.problems.push(problem);
        return;
    }
    found.configs.push(config);
}

fn every(dir: &Path) -> io::Result<Discovered> {
    let mut found = Discovered::default();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        // Hidden files are those of editors and of configuration management.
        let Some(file) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
        if file.starts_with('.') || path.is_dir() {
            continue;
        }
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("yaml") => found.configs.push(ConfigFile::new(path)),
            Some("yml") => {
                let config = ConfigFile::new(path);
                let problem =
                    Problem::warning("ignored-file", config.place(), "a file ending in `.yml` is ignored");
                found.problems.push(problem.help("rename it to `.yaml` if it is a config"));
            }
            _ => {}
        }
    }
    found.configs.sort_unstable();
    found.problems.sort_by(|one, other| one.place.file.cmp(&other.place.file));
    Ok(found)
}

fn folder_problem(dir: &Path, message: &str) -> Problem {
    let place = Place { file: Some(dir.to_owned()), ..Place::default() };
    Problem::error("config-dir", place, message).help("--config.dir names the folder")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        dir
    }

    fn names(found: &Discovered) -> Vec<&str> {
        found.configs.iter().map(|config| config.name.as_str()).collect()
    }

    fn codes(problems: &[Problem]) -> Vec<&str> {
        problems.iter().map(|problem| problem.code).collect()
    }

    #[test]
    fn every_yaml_file_is_a_config() {
        let dir = folder(&["b.yaml", "a.yaml", "c.yml", "a.bpf.o", ".d.yaml", "e.yaml~", "two.dots.yaml"]);
        std::fs::create_dir(dir.path().join("f.yaml")).unwrap();
        let found = discover(dir.path(), &[]).unwrap();
        assert_eq!(names(&found), ["a", "b", "two.dots"]);
        assert_eq!(codes(&found.problems), ["ignored-file"]);
        assert_eq!(found.problems[0].place.config.as_deref(), Some("c"));
        assert_eq!(found.configs[0].path, dir.path().join("a.yaml"));
    }

    #[test]
    fn objects_without_a_config_are_those_of_this_machine() {
        let own = format!("a.{}.bpf.o", architecture::OWN);
        let check = |files: &[&str], expected: &[(&str, &str)]| {
            let dir = folder(files);
            let found = without_config(dir.path()).unwrap();
            let found: Vec<_> = found
                .iter()
                .map(|(file, path)| (file.name.as_str(), path.file_name().unwrap().to_str().unwrap()))
                .collect();
            assert_eq!(found, expected);
        };
        check(&["b.bpf.o", "a.bpf.o", "c.o", ".bpf.o"], &[("a", "a.bpf.o"), ("b", "b.bpf.o")]);
        check(&["a.bpf.o", &own], &[("a", &own)]);
        check(&[&own, "a.yaml"], &[]);
        check(&["a.riscv64.bpf.o", "two.dots.bpf.o"], &[("two.dots", "two.dots.bpf.o")]);
    }

    #[test]
    fn named_configs_are_those_named() {
        let dir = folder(&["b.yaml", "a.yaml", "c.yaml"]);
        let found = discover(dir.path(), &["c".into(), "a".into()]).unwrap();
        assert_eq!(names(&found), ["a", "c"]);
        assert!(found.problems.is_empty());
    }

    #[test]
    fn names_may_lead_into_folders_below() {
        let dir = folder(&["a.yaml"]);
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("sub/a.yaml"), "").unwrap();
        let found = discover(dir.path(), &["sub/a".into(), "a".into()]).unwrap();
        assert_eq!(names(&found), ["a", "sub/a"]);
        assert_eq!(found.configs[1].path, dir.path().join("sub/a.yaml"));
        let below = discover(dir.path(), &["/sub/a".into()]).unwrap();
        assert_eq!(below.configs[0].path, dir.path().join("sub/a.yaml"));
    }

    #[test]
    fn a_missing_one_costs_itself() {
        let dir = folder(&["timers.yaml", "d.yml"]);
        let found =
            discover(dir.path(), &["timer".into(), "timers".into(), "d".into(), "timers.yaml".into()])
                .unwrap();
        assert_eq!(names(&found), ["timers"]);
        assert_eq!(codes(&found.problems), ["missing-config"; 3]);
        assert_eq!(found.problems[0].help.as_deref(), Some("did you mean `timers`?"));
        assert_eq!(found.problems[1].help.as_deref(), Some("rename `d.yml` to `d.yaml`"));
        assert_eq!(found.problems[2].help.as_deref(), Some("write `timers`: names go without `.yaml`"));
    }

    #[test]
    fn names_that_are_none_are_refused() {
        let dir = folder(&["a.yaml"]);
        for bad in ["", ".", "..", "sub/", "sub/..", "a\0"] {
            assert_eq!(
                codes(&discover(dir.path(), &[bad.into()]).unwrap_err()),
                ["bad-config-name"],
                "{bad:?}"
            );
        }
        assert_eq!(
            codes(&discover(dir.path(), &["a".into(), "a".into()]).unwrap_err()),
            ["duplicate-config"]
        );
    }

    #[test]
    fn a_folder_that_is_none_is_refused() {
        let dir = folder(&["a.yaml"]);
        assert_eq!(codes(&discover(&dir.path().join("nowhere"), &[]).unwrap_err()), ["config-dir"]);
        assert_eq!(codes(&discover(&dir.path().join("a.yaml"), &[]).unwrap_err()), ["config-dir"]);
    }
}
