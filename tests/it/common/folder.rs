//! A folder of configs and objects for one test.

use std::path::{Path, PathBuf};

use super::objects;

/// A temporary folder with pairs in it; gone when dropped.
pub struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    /// An empty folder.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Its path as an argument: `--config.dir=<path>`.
    pub fn argument(&self) -> String {
        format!("--config.dir={}", self.path().display())
    }

    /// Writes a file.
    #[track_caller]
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Writes `<name>.yaml` and copies an object to `<name>.bpf.o`.
    #[track_caller]
    pub fn pair(&self, name: &str, yaml: &str, object: &Path) {
        self.file(&format!("{name}.yaml"), yaml);
        std::fs::copy(object, self.path().join(format!("{name}.bpf.o"))).unwrap();
    }

    /// The same with an object from C.
    #[track_caller]
    pub fn compiled_pair(&self, name: &str, yaml: &str, source: &str) {
        self.pair(name, yaml, &objects::compile(source));
    }
}
