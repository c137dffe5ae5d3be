//! The running kernel's types: read when first asked for, shared, and let go after the start.
//!
//! They tell which functions and tracepoints a program could attach to, and what numbers of the
//! kernel's enums are called. A file given in place of the kernel's own (`--btf.path`) may be raw
//! BTF or an ELF file with a `.BTF` section, as libbpf takes it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file;
use crate::btf::{Btf, Kind};
use crate::elf;

/// Raw BTF of a kernel has 5 to 20 MB; a `vmlinux` with all its debug information is far larger.
const MOST: u64 = 2 << 30;

/// BTF of a module is small, but nothing of a file's size is trusted.
const MOST_OF_MODULE: u64 = 64 << 20;

/// The kernel's BTF, once it was read.
#[derive(Debug, Default)]
pub(super) struct KernelBtf {
    /// `--btf.path`
    given: Option<PathBuf>,
    /// What reading it gave: a file that is not there is not looked for again and again.
    read: Option<Result<Arc<Btf>, (io::ErrorKind, String)>>,
}

impl KernelBtf {
    /// To be read from this file instead of the kernel's own, when there is one.
    pub(super) fn new(given: Option<PathBuf>) -> Self {
        Self { given, read: None }
    }

    /// The kernel's own types.
    pub(super) fn get(&mut self, sysfs: &Path) -> io::Result<Arc<Btf>> {
        let given = self.given.as_deref();
        let read = self.read.get_or_insert_with(|| {
            let path = given.map_or_else(|| sysfs.join("kernel/btf/vmlinux"), Path::to_path_buf);
            read(&path).map_err(|error| (error.kind(), error.to_string()))
        });
        match read {
            Ok(btf) => Ok(Arc::clone(btf)),
            Err((kind, message)) => Err(io::Error::new(*kind, message.clone())),
        }
    }

    /// Whether the kernel, or one of its loaded modules, has a type of this name.
    pub(super) fn has(&mut self, sysfs: &Path, name: &str, kind: Kind) -> io::Result<bool> {
        let btf = self.get(sysfs)?;
        if btf.find(name, kind).is_some() {
            return Ok(true);
        }
        // Modules continue the BTF of the running kernel, which a file of another origin need not be.
        if self.given.is_some() {
            return Ok(false);
        }
        Ok(modules(&sysfs.join("kernel/btf"), &btf).any(|module| module.find_own(name, kind).is_some()))
    }

    /// Lets go of it. It is read again when it is asked for again.
    pub(super) fn release(&mut self) {
        self.read = None;
    }
}

fn read(path: &Path) -> io::Result<Arc<Btf>> {
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

/// The types of loaded modules; what cannot be read is left out, as a module may go at any time.
fn modules<'a>(folder: &Path, base: &'a Arc<Btf>) -> impl Iterator<Item = Btf> + use<'a> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name() != "vmlinux").filter_map(|entry| {
        let bytes = file::read_at_most(&entry.path(), MOST_OF_MODULE).ok()?;
        Btf::parse_shared(bytes.into(), Some(Arc::clone(base))).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::sample;

    fn sysfs_with(bytes: &[u8]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("kernel/btf")).unwrap();
        std::fs::write(folder.path().join("kernel/btf/vmlinux"), bytes).unwrap();
        folder
    }

    #[test]
    fn it_is_read_once_until_it_is_released() {
        let sysfs = sysfs_with(&sample::kernel());
        let mut btf = KernelBtf::default();
        let first = btf.get(sysfs.path()).unwrap();
        assert!(Arc::ptr_eq(&first, &btf.get(sysfs.path()).unwrap()));
        btf.release();
        assert!(!Arc::ptr_eq(&first, &btf.get(sysfs.path()).unwrap()));
    }

    #[test]
    fn functions_and_tracepoints_are_found() {
        let sysfs = sysfs_with(&sample::kernel());
        let mut btf = KernelBtf::default();
        let mut check = |name: &str, kind: Kind, expected: bool| {
            assert_eq!(btf.has(sysfs.path(), name, kind).unwrap(), expected, "{name}");
        };
        check("do_exit", Kind::Func, true);
        check("btf_trace_sched_switch", Kind::Typedef, true);
        check("do_exit", Kind::Typedef, false);
        check("do_exi", Kind::Func, false);
    }

    #[test]
    fn a_file_that_is_none_is_an_error_with_its_path() {
        let sysfs = sysfs_with(b"not BTF");
        let error = KernelBtf::default().get(sysfs.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("kernel/btf/vmlinux"), "{error}");
        let error = KernelBtf::new(Some("/no/such/btf".into())).get(sysfs.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("/no/such/btf"), "{error}");
    }
}
