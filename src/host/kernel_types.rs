//! The running kernel's types: read when first asked for, shared, and let go after the start.
//!
//! They tell which functions and tracepoints a program could attach to, and what numbers of the
//! kernel's enums are called. A file given in place of the kernel's own (`--btf.path`) may be raw
//! BTF or an ELF file with a `.BTF` section, as libbpf takes it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::file;
use crate::btf::{Btf, EnumIndex, Kind};
use crate::elf;

/// Raw BTF of a kernel has 5 to 20 MB; a `vmlinux` with all its debug information is far larger.
const MOST: u64 = 2 << 30;

/// BTF of a module is small, but nothing of a file's size is trusted.
const MOST_OF_MODULE: u64 = 64 << 20;

/// The types of a kernel and of its loaded modules.
#[derive(Debug)]
pub struct KernelTypes {
    btf: Arc<Btf>,
    enums: OnceLock<EnumIndex<Arc<Btf>>>,
    /// Where the modules' types are. A file of another origin has none: modules continue those of the
    /// running kernel.
    folder: Option<PathBuf>,
    modules: OnceLock<Vec<Arc<Btf>>>,
    enums_of_modules: OnceLock<Vec<EnumIndex<Arc<Btf>>>>,
}

impl KernelTypes {
    /// The kernel's own.
    #[must_use]
    pub fn btf(&self) -> &Arc<Btf> {
        &self.btf
    }

    /// Whether the kernel, or one of its loaded modules, has a type of this name.
    #[must_use]
    pub fn has(&self, name: &str, kind: Kind) -> bool {
        self.btf.find(name, kind).is_some() || self.modules_have(name, kind)
    }

    /// Whether a loaded module has a type of this name and kind.
    pub fn modules_have(&self, name: &str, kind: Kind) -> bool {
        self.modules().iter().any(|module| module.find_own(name, kind).is_some())
    }

    /// The enums of the kernel itself.
    pub fn enums(&self) -> &EnumIndex<Arc<Btf>> {
        self.enums.get_or_init(|| EnumIndex::new(Arc::clone(&self.btf)))
    }

    /// The enums of each loaded module.
    pub fn enums_of_modules(&self) -> &[EnumIndex<Arc<Btf>>] {
        self.enums_of_modules.get_or_init(|| self.modules().iter().cloned().map(EnumIndex::new).collect())
    }

    /// The types of loaded modules; what cannot be read is left out, as a module may go at any time.
    fn modules(&self) -> &[Arc<Btf>] {
        self.modules.get_or_init(|| {
            let entries = self.folder.iter().flat_map(std::fs::read_dir).flatten().flatten();
            let mut paths: Vec<PathBuf> =
                entries.filter(|entry| entry.file_name() != "vmlinux").map(|entry| entry.path()).collect();
            paths.sort_unstable();
            let read = |path: &PathBuf| {
                let bytes = file::read_at_most(path, MOST_OF_MODULE).ok()?;
                Btf::parse_shared(bytes.into(), Some(Arc::clone(&self.btf))).ok().map(Arc::new)
            };
            paths.iter().filter_map(read).collect()
        })
    }
}

/// The kernel's types, once they were read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// `--btf.path`
    given: Option<PathBuf>,
    /// What reading gave: a file that is not there is not looked for again and again.
    read: Option<Result<Arc<KernelTypes>, (io::ErrorKind, String)>>,
}

impl Reader {
    /// To read from this file instead of the kernel's own, when there is one.
    pub(super) fn new(given: Option<PathBuf>) -> Self {
        Self { given, read: None }
    }

    /// The file that the kernel's own types are in.
    pub(super) fn file(&self, sysfs: &Path) -> PathBuf {
        self.given.clone().unwrap_or_else(|| sysfs.join("kernel/btf/vmlinux"))
    }

    /// The kernel's types.
    pub(super) fn get(&mut self, sysfs: &Path) -> io::Result<Arc<KernelTypes>> {
        let path = self.file(sysfs);
        let folder = self.given.is_none().then(|| sysfs.join("kernel/btf"));
        let read = self.read.get_or_insert_with(|| match read(&path) {
            Ok(btf) => Ok(Arc::new(KernelTypes {
                btf,
                enums: OnceLock::new(),
                folder,
                modules: OnceLock::new(),
                enums_of_modules: OnceLock::new(),
            })),
            Err(error) => Err((error.kind(), error.to_string())),
        });
        match read {
            Ok(types) => Ok(Arc::clone(types)),
            Err((kind, message)) => Err(io::Error::new(*kind, message.clone())),
        }
    }

    /// Lets go of them. They are read again when they are asked for again.
    pub(super) fn release(&mut self) {
        self.read = None;
    }
}

fn read(path: &Path) -> io::Result<Arc<Btf>> {
    // A pipe would be waited for, a device read for ever.
    if !std::fs::metadata(path).map_err(|error| file::with_path(path, &error))?.is_file() {
        return Err(file::with_path(path, &io::Error::other("not a file")));
    }
    let bytes = file::read_at_most(path, MOST)?;
    let invalid = |message: String| {
        let error = io::Error::new(io::ErrorKind::InvalidData, message);
        file::with_path(path, &error)
    };
    let raw = if bytes.starts_with(b"\x7fELF") {
        elf::btf_section(&bytes).ok_or_else(|| invalid("it has no section .BTF".to_owned()))?
    } else {
        bytes.as_slice()
    };
    Btf::parse(raw).map(Arc::new).map_err(|error| invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::sample::{self, Sample};

    fn sysfs_with(bytes: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("kernel/btf")).unwrap();
        std::fs::write(folder.path().join("kernel/btf/vmlinux"), bytes).unwrap();
        folder
    }

    /// The folder of a sysfs whose kernel has the enum `state`, and whose module `net` has `mode`.
    fn sysfs_with_module() -> tempfile::TempDir {
        let mut kernel = Sample::new(false);
        let one = kernel.name("ONE");
        kernel.record("state", 6, 1, 4, &[one, 1]);
        let mut module = Sample::continuing(&kernel);
        let two = module.name("TWO");
        module.record("mode", 6, 1, 4, &[two, 2]).record("state_t", 8, 0, 1, &[]);
        let folder = sysfs_with(&kernel.bytes());
        let btf = folder.path().join("kernel/btf");
        std::fs::write(btf.join("net"), module.bytes()).unwrap();
        std::fs::write(btf.join("broken"), "no types").unwrap();
        folder
    }

    #[test]
    fn they_are_read_once_until_they_are_released() {
        let sysfs = sysfs_with(&sample::kernel());
        let file = sysfs.path().join("kernel/btf/vmlinux");
        let bytes = std::fs::read(&file).unwrap();
        let mut reader = Reader::default();
        let first = reader.get(sysfs.path()).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(Arc::ptr_eq(&first, &reader.get(sysfs.path()).unwrap()));
        reader.release();
        assert!(reader.get(sysfs.path()).is_err());
        std::fs::write(&file, bytes).unwrap();
        assert!(reader.get(sysfs.path()).is_err(), "it is not looked for again and again");
        reader.release();
        assert!(!Arc::ptr_eq(&first, &reader.get(sysfs.path()).unwrap()));
    }

    #[test]
    fn functions_and_tracepoints_are_found() {
        let sysfs = sysfs_with(&sample::kernel());
        let types = Reader::default().get(sysfs.path()).unwrap();
        let check = |name: &str, kind: Kind, expected: bool| {
            assert_eq!(types.has(name, kind), expected, "{name}");
        };
        check("do_exit", Kind::Func, true);
        check("btf_trace_sched_switch", Kind::Typedef, true);
        check("do_exit", Kind::Typedef, false);
        check("do_exi", Kind::Func, false);
    }

    #[test]
    fn a_kernel_has_its_own_types_and_those_of_modules() {
        let sysfs = sysfs_with_module();
        let types = Reader::default().get(sysfs.path()).unwrap();
        assert!(types.has("state", Kind::Enum) && types.has("mode", Kind::Enum));
        assert!(types.btf().find("mode", Kind::Enum).is_none());
        assert_eq!(types.enums().names().collect::<Vec<_>>(), ["state"]);
        let [module] = types.enums_of_modules() else { panic!("one module is sound") };
        let named =
            |name: &str| module.find(name).iter().map(|values| values[0].name.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            (named("mode"), named("state_t"), named("state")),
            (vec!["TWO".to_owned()], vec!["ONE".into()], vec![])
        );
    }

    #[test]
    fn a_file_has_no_modules() {
        let sysfs = sysfs_with_module();
        let file = sysfs.path().join("kernel/btf/vmlinux");
        let types = Reader::new(Some(file)).get(sysfs.path()).unwrap();
        assert!(types.has("state", Kind::Enum) && !types.has("mode", Kind::Enum));
        assert!(types.enums_of_modules().is_empty());
    }

    #[test]
    fn a_file_that_is_none_is_an_error_with_its_path() {
        let sysfs = sysfs_with(b"not BTF");
        let error = Reader::default().get(sysfs.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("kernel/btf/vmlinux"), "{error}");
        let error = Reader::new(Some("/no/such/btf".into())).get(sysfs.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("/no/such/btf"), "{error}");
    }
}
