//! What the targets share: a machine without names, a config's file, the object to check against.

#![allow(dead_code, reason = "each target uses some of it")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bpftally::config::advise::{self, Kernel};
use bpftally::config::{self, Checked, ConfigFile, Insecure, ObjectFile, Options};
use bpftally::elf::ObjectInfo;
use bpftally::host::{Host, Roots};
use bpftally::problem::Problem;

/// The object that texts are checked against, and the frame for BTF that comes without an object.
pub const OBJECT: &[u8] = include_bytes!("../seeds/object/layouts.bpf.o");

/// A machine of which nothing can be read: what is found does not depend on where it is found.
pub fn host() -> Arc<Host> {
    let nowhere = PathBuf::from("/nonexistent");
    let roots =
        Roots { procfs: nowhere.clone(), sysfs: nowhere.clone(), cgroupfs: nowhere.clone(), rootfs: nowhere };
    // The object's own types stand for the kernel's.
    let types = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/object/layouts.bpf.o");
    Arc::new(Host::new(roots).with_kernel_btf(Some(types)))
}

pub fn options() -> Options {
    Options {
        namespace: "fuzz".to_owned(),
        max_series: None,
        object_dir: None,
        host: host(),
        insecure: Insecure::Allowed,
    }
}

pub fn kernel(host: &Host) -> Option<Kernel> {
    Some(Kernel::new(host.kernel_types().ok()?, "the kernel".to_owned(), true))
}

/// Checks a text with all that `bpftally check` does beyond it, and renders what is found in every form.
pub fn check(text: &str, object: &ObjectFile<'_>, options: &Options, kernel: Option<&Kernel>) -> Checked {
    let file = ConfigFile::new("fuzzed.yaml");
    let checked = config::check_text(&file, text, object, options);
    let spec = checked.spec.as_ref();
    let subject =
        advise::Subject { file: &file, object: object.path, info: object.info, spec, cpus: 4, kernel };
    let advice = advise::advise(&subject);
    let _ = advise::needs(&subject).to_string();
    let conflicts = config::settle_families(&mut Vec::from_iter(spec.cloned()));
    for problem in checked.problems.iter().chain(&advice).chain(&conflicts) {
        render(problem, Some(text));
    }
    checked
}

/// Renders a problem in every form, each of which keeps to its lines.
pub fn render(problem: &Problem, text: Option<&str>) {
    assert!(!problem.to_string().contains(['\n', '\r']), "{problem:?}");
    assert!(!problem.to_github().contains(['\n', '\r']), "{problem:?}");
    assert!(
        !format!("{problem:#}").chars().any(|letter| letter.is_control() && letter != '\n'),
        "{problem:?}"
    );
    let excerpt = problem.with_excerpt(text);
    assert!(!excerpt.chars().any(|letter| letter.is_control() && letter != '\n'), "{problem:?}");
    let json = problem.to_json().to_string();
    assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
    if let (Some(position), Some(text), Some(file)) = (problem.place.position, text, &problem.place.file)
        && file.ends_with("fuzzed.yaml")
    {
        let breaks = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
        let lines = text.matches(breaks).count() + 1;
        assert!(position.line >= 1 && position.column >= 1, "{problem:?}");
        assert!(position.line <= lines + 1, "{problem:?} in a text of {lines} lines");
    }
}

/// An object that was read.
pub struct Object {
    bytes: Arc<[u8]>,
    info: ObjectInfo,
}

impl Object {
    pub fn new(bytes: &[u8], info: ObjectInfo) -> Self {
        Self { bytes: bytes.into(), info }
    }

    pub fn info(&self) -> &ObjectInfo {
        &self.info
    }

    pub fn file(&self) -> ObjectFile<'_> {
        ObjectFile { path: Path::new("fuzzed.bpf.o"), bytes: &self.bytes, info: &self.info }
    }
}
