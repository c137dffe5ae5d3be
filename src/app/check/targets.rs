//! From paths to configs, by the folders that an exporter would serve together.

use std::path::{Path, PathBuf};

use crate::config::{self, ConfigFile};
use crate::problem::{Place, Problem};

/// Configs of one folder, which share the page.
#[derive(Debug, Default)]
pub(super) struct Folder {
    /// The folder without links and dots.
    real: PathBuf,
    pub(super) files: Vec<ConfigFile>,
    pub(super) problems: Vec<Problem>,
}

/// The configs at all paths, each once.
///
/// # Errors
/// What is no config at all.
pub(super) fn collect(paths: &[PathBuf]) -> Result<Vec<Folder>, String> {
    let mut folders: Vec<Folder> = Vec::new();
    for path in paths {
        let kind = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
        if kind.is_dir() {
            add_folder(&mut folders, path)?;
        } else {
            add_file(&mut folders, path)?;
        }
    }
    for folder in &mut folders {
        folder.files.sort_unstable();
    }
    Ok(folders)
}

fn add_folder(folders: &mut Vec<Folder>, path: &Path) -> Result<(), String> {
    let found = config::discover(path, &[])
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let folder = of(folders, path)?;
    folder.problems.extend(found.problems);
    if found.configs.is_empty() {
        let place = Place { file: Some(path.to_owned()), ..Place::default() };
        let problem = Problem::error("no-configs", place, "there is no config in the folder");
        folder.problems.push(problem.expected("files ending in `.yaml`; folders inside are not looked into"));
    }
    for config in found.configs {
        add(folder, config);
    }
    Ok(())
}

fn add_file(folders: &mut Vec<Folder>, path: &Path) -> Result<(), String> {
    let config = ConfigFile::new(path);
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = of(folders, parent)?;
    match extension {
        "yaml" => {}
        "yml" => {
            let problem =
                Problem::warning("ignored-file", config.place(), "a file ending in `.yml` is ignored");
            folder.problems.push(problem.help("rename it to `.yaml`, or the exporter does not see it"));
        }
        "o" => return Err(format!("{}: this is an object: name the config beside it", path.display())),
        _ => return Err(format!("{}: configs end in `.yaml`", path.display())),
    }
    add(folder, config);
    Ok(())
}

/// The folder at a path, new or known.
fn of<'f>(folders: &'f mut Vec<Folder>, path: &Path) -> Result<&'f mut Folder, String> {
    let real = path.canonicalize().map_err(|error| format!("{}: {error}", path.display()))?;
    let index = match folders.iter().position(|folder| folder.real == real) {
        Some(index) => index,
        None => {
            folders.push(Folder { real, ..Folder::default() });
            folders.len() - 1
        }
    };
    folders.get_mut(index).ok_or_else(|| format!("{}: lost", path.display()))
}

fn add(folder: &mut Folder, config: ConfigFile) {
    let is_known = folder.files.iter().any(|known| known.path.file_name() == config.path.file_name());
    if !is_known {
        folder.files.push(config);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_to_one_folder_are_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        for file in ["a.yaml", "b.yaml", "c.yml", "sub/a.yaml"] {
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        let paths = ["b.yaml", ".", "sub/../b.yaml", "sub/a.yaml"].map(|path| dir.path().join(path));
        let folders = collect(&paths).unwrap();
        let names: Vec<Vec<&str>> = folders
            .iter()
            .map(|folder| folder.files.iter().map(|file| file.name.as_str()).collect())
            .collect();
        assert_eq!(names, [vec!["a", "b"], vec!["a"]]);
        assert_eq!(
            folders[0].problems.iter().map(|problem| problem.code).collect::<Vec<_>>(),
            ["ignored-file"]
        );
    }

    #[test]
    fn what_is_no_config_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for file in ["a.bpf.o", "a.txt"] {
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        for (name, part) in [("a.bpf.o", "object"), ("a.txt", ".yaml"), ("gone.yaml", "No such file")] {
            let message = collect(&[dir.path().join(name)]).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_folder_without_configs_is_a_problem() {
        let dir = tempfile::tempdir().unwrap();
        let folders = collect(&[dir.path().to_owned()]).unwrap();
        assert_eq!(folders[0].problems[0].code, "no-configs");
    }
}
