//! The running kernel's types: read when a config first asks for one, and forgotten with the options.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::files;
use crate::btf::{Btf, EnumIndex};
use crate::elf;
use crate::host::Roots;

/// Bytes of a kernel's or a module's types. Kernels have some 10 MiB; an unstripped `vmlinux` around them has more.
const MAX_BTF: u64 = 1 << 30;

/// Where the running kernel's types are, and what was read of them.
#[derive(Debug)]
pub struct KernelTypes {
    file: PathBuf,
    /// The folder with the types of modules, which continue those of the kernel.
    modules: Option<PathBuf>,
    kernel: OnceLock<Result<Kernel, String>>,
    of_modules: OnceLock<Vec<EnumIndex>>,
}

/// What was read.
#[derive(Debug)]
struct Kernel {
    /// For modules to continue.
    types: Arc<Btf>,
    enums: EnumIndex<Arc<Btf>>,
}

impl KernelTypes {
    /// Those that the kernel carries itself, or those of a file (raw BTF, or ELF around it).
    #[must_use]
    pub fn new(roots: &Roots, file: Option<&Path>) -> Self {
        let own = roots.sysfs.join("kernel/btf");
        Self {
            file: file.map_or_else(|| own.join("vmlinux"), Path::to_owned),
            modules: file.is_none().then_some(own),
            kernel: OnceLock::new(),
            of_modules: OnceLock::new(),
        }
    }

    /// The file that they are read from.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The enums of the kernel itself.
    ///
    /// # Errors
    /// Why they cannot be read.
    pub fn enums(&self) -> Result<&EnumIndex<Arc<Btf>>, &str> {
        self.kernel().map(|kernel| &kernel.enums)
    }

    /// The enums of each loaded module.
    pub fn enums_of_modules(&self) -> &[EnumIndex] {
        self.of_modules.get_or_init(|| {
            let (Some(folder), Ok(kernel)) = (&self.modules, self.kernel()) else { return Vec::new() };
            let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
                .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
                .unwrap_or_default();
            files.sort();
            files.retain(|file| *file != self.file);
            // A module that goes away meanwhile has no types.
            let read = |file: &PathBuf| {
                let data = files::bounded(file, MAX_BTF).ok()??;
                Btf::parse_shared(data.into(), Some(Arc::clone(&kernel.types))).ok()
            };
            files.iter().filter_map(read).map(EnumIndex::new).collect()
        })
    }

    fn kernel(&self) -> Result<&Kernel, &str> {
        self.kernel.get_or_init(|| self.read()).as_ref().map_err(String::as_str)
    }

    fn read(&self) -> Result<Kernel, String> {
        let bytes = match files::bounded(&self.file, MAX_BTF) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(format!("more than {} MiB", MAX_BTF >> 20)),
            Err(error) => return Err(error.to_string()),
        };
        let data: Arc<[u8]> = elf::btf_section(&bytes).map_or_else(|| bytes.as_slice().into(), Arc::from);
        drop(bytes);
        let types = Arc::new(Btf::parse_shared(data, None).map_err(|error| error.to_string())?);
        Ok(Kernel { enums: EnumIndex::new(Arc::clone(&types)), types })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::sample::Sample;

    /// The folder of a sysfs whose kernel has the enum `state`, and whose module `net` has `mode`.
    fn sysfs() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let btf = folder.path().join("kernel/btf");
        std::fs::create_dir_all(&btf).unwrap();
        let mut kernel = Sample::new(false);
        let one = kernel.name("ONE");
        kernel.record("state", 6, 1, 4, &[one, 1]);
        let mut module = Sample::continuing(&kernel);
        let two = module.name("TWO");
        module.record("mode", 6, 1, 4, &[two, 2]).record("state_t", 8, 0, 1, &[]);
        std::fs::write(btf.join("vmlinux"), kernel.bytes()).unwrap();
        std::fs::write(btf.join("net"), module.bytes()).unwrap();
        std::fs::write(btf.join("broken"), "no types").unwrap();
        folder
    }

    fn roots(sysfs: &Path) -> Roots {
        Roots { sysfs: sysfs.to_owned(), ..Roots::default() }
    }

    #[test]
    fn a_kernel_has_its_own_enums_and_those_of_modules() {
        let folder = sysfs();
        let types = KernelTypes::new(&roots(folder.path()), None);
        assert_eq!(types.enums().unwrap().names().collect::<Vec<_>>(), ["state"]);
        let [module] = types.enums_of_modules() else { panic!("one module is sound") };
        let named =
            |name: &str| module.find(name).iter().map(|values| values[0].name.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            (named("mode"), named("state_t"), named("state")),
            (vec!["TWO".to_owned()], vec!["ONE".into()], vec![])
        );
    }

    #[test]
    fn nothing_is_read_before_it_is_asked_for_and_then_once() {
        let folder = sysfs();
        let types = KernelTypes::new(&roots(folder.path()), None);
        let file = types.file().to_owned();
        let bytes = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let late = KernelTypes::new(&roots(folder.path()), None);
        std::fs::write(&file, bytes).unwrap();
        assert!(late.enums().is_ok());
        std::fs::remove_file(&file).unwrap();
        assert!(late.enums().is_ok());
        assert!(types.enums().is_err() && types.enums_of_modules().is_empty());
    }

    #[test]
    fn a_file_has_no_modules() {
        let folder = sysfs();
        let file = folder.path().join("kernel/btf/vmlinux");
        let types = KernelTypes::new(&roots(folder.path()), Some(&file));
        assert!(types.enums().is_ok() && types.enums_of_modules().is_empty());
        let broken = KernelTypes::new(&roots(folder.path()), Some(&folder.path().join("kernel/btf/broken")));
        assert!(broken.enums().is_err());
    }
}
