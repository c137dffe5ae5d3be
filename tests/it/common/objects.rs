//! Test objects are compiled from C by clang when they are first asked for.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use bpftally::config::ObjectFile;
use bpftally::elf::ObjectInfo;

/// Includes and types that every test program starts with.
pub const PRELUDE: &str = r#"
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
typedef __u8 u8; typedef __u16 u16; typedef __u32 u32; typedef __u64 u64;
typedef __s8 s8; typedef __s16 s16; typedef __s32 s32; typedef __s64 s64;
char LICENSE[] SEC("license") = "Dual BSD/GPL";
"#;

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

    /// Compiles C (after [`PRELUDE`]).
    #[track_caller]
    pub fn of(source: &str) -> Self {
        Self::read(compile(source))
    }

    /// As a config takes it.
    pub fn file(&self) -> ObjectFile<'_> {
        ObjectFile { path: &self.path, bytes: &self.bytes, info: &self.info }
    }
}

/// Compiles C (after [`PRELUDE`]) to a BPF object and returns its path, which is the same for the same source.
#[track_caller]
pub fn compile(source: &str) -> PathBuf {
    compile_with(source, &["-target", "bpf", "-g", "-O2", "-mcpu=v3"])
}

/// The same with other flags for clang, for objects that are wrong on purpose.
#[track_caller]
pub fn compile_with(source: &str, flags: &[&str]) -> PathBuf {
    compile_whole(&format!("{PRELUDE}\n{source}"), flags)
}

/// Compiles C as it is.
#[track_caller]
pub fn compile_whole(text: &str, flags: &[&str]) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    (text, flags).hash(&mut hasher);
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
    let result = Command::new("clang")
        .args(flags)
        .args([&include, arch, "-c"])
        .arg(&input)
        .arg("-o")
        .arg(&output)
        .output();
    let result = result.expect("clang is needed to compile test objects (apt-get install clang libbpf-dev)");
    assert!(result.status.success(), "clang failed:\n{}", String::from_utf8_lossy(&result.stderr));
    std::fs::rename(&output, &object).unwrap();
    object
}
