//! Test objects are compiled from C by clang when they are first asked for.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use bpftally::config::ObjectFile;
use bpftally::elf::ObjectInfo;

/// Includes and types that every test program starts with.
const PRELUDE: &str = include_str!("../corpus/prelude.h");

/// Where `prelude.h` is.
const INCLUDES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/corpus");

/// The headers for everybody's objects.
const SHIPPED_INCLUDES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bpf-objects/include");

/// How objects are compiled that are not wrong on purpose.
const FLAGS: &[&str] = &["-target", "bpf", "-g", "-O2", "-mcpu=v3"];

/// An object, read as the exporter reads it.
pub struct Object {
    /// Where it is.
    pub path: PathBuf,
    /// What the file holds.
    pub bytes: Arc<[u8]>,
    /// What it says of itself.
    pub info: ObjectInfo,
}

impl Object {
    /// Reads a file.
    #[track_caller]
    pub fn read(path: PathBuf) -> Self {
        let bytes: Arc<[u8]> = std::fs::read(&path).unwrap().into();
        let info = ObjectInfo::parse(&bytes).unwrap();
        Self { path, bytes, info }
    }

    /// Compiles C (after the prelude).
    #[track_caller]
    pub fn of(source: &str) -> Self {
        Self::read(compile(source))
    }

    /// As a config takes it.
    pub fn file(&self) -> ObjectFile<'_> {
        ObjectFile { path: &self.path, bytes: &self.bytes, info: &self.info }
    }
}

/// Compiles C (after the prelude) to a BPF object and returns its path, which is the same for the same source.
#[track_caller]
pub fn compile(source: &str) -> PathBuf {
    compile_with(source, FLAGS)
}

/// The same with other flags for clang, for objects that are wrong on purpose.
#[track_caller]
pub fn compile_with(source: &str, flags: &[&str]) -> PathBuf {
    compile_by("clang", &format!("#include \"prelude.h\"\n{source}"), flags)
}

/// Compiles a whole file by one of the compilers. Its first line may say `/* clang: <flags> */`.
#[track_caller]
pub fn compile_file(compiler: &str, path: &Path) -> PathBuf {
    let text = std::fs::read_to_string(path).unwrap();
    let first = text.lines().next().unwrap_or_default();
    let own = first.strip_prefix("/* clang: ").and_then(|rest| rest.strip_suffix(" */"));
    let flags: Vec<&str> = own.map_or_else(|| FLAGS.to_vec(), |own| own.split(' ').collect());
    compile_by(compiler, &text, &flags)
}

/// Compiles C as it is.
#[track_caller]
pub fn compile_whole(text: &str, flags: &[&str]) -> PathBuf {
    compile_by("clang", text, flags)
}

#[track_caller]
fn compile_by(compiler: &str, text: &str, flags: &[&str]) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    (compiler, PRELUDE, text, flags).hash(&mut hasher);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("objects");
    std::fs::create_dir_all(&folder).unwrap();
    let object = folder.join(format!("{:016x}.bpf.o", hasher.finish()));
    if object.exists() {
        return object;
    }
    // Tests run in parallel: each compiles under a name of its own and renames.
    let unique = tempfile::Builder::new().prefix("compile").tempdir_in(&folder).unwrap();
    let (input, output) = (unique.path().join("test.bpf.c"), unique.path().join("test.bpf.o"));
    std::fs::write(&input, text).unwrap();
    let include = format!("-I/usr/include/{}-linux-gnu", std::env::consts::ARCH);
    let arch = if cfg!(target_arch = "x86_64") { "-D__TARGET_ARCH_x86" } else { "-D__TARGET_ARCH_arm64" };
    let result = Command::new(compiler)
        .args(flags)
        .args([&include, "-I", INCLUDES, "-I", SHIPPED_INCLUDES, arch, "-c"])
        .arg(&input)
        .arg("-o")
        .arg(&output)
        .output();
    let result = result.unwrap_or_else(|error| {
        panic!(
            "{compiler} is needed to compile test objects (apt-get install {compiler} libbpf-dev): {error}"
        )
    });
    assert!(result.status.success(), "{compiler} failed:\n{}", String::from_utf8_lossy(&result.stderr));
    std::fs::rename(&output, &object).unwrap();
    object
}
