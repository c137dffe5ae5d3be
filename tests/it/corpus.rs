//! Objects for one thing each that C and libbpf can say, and what `inspect`, `init` and `check` make of them.
//!
//! The sources are `tests/it/corpus/*.bpf.c`; a new one needs no word here. Each is compiled by every
//! compiler of [`COMPILERS`]. What the commands print stands in `tests/it/golden/<command>/<object>`, and
//! where a compiler's objects differ, in a page of its own beside it. `UPDATE_GOLDEN=1 cargo test
//! --test it corpus::` writes them anew, for a look at what `git diff` shows.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bpftally::cli::Report;
use bpftally::elf::ObjectInfo;

use crate::common::{exporter, golden, objects};

/// The oldest clang that Debian 12 has for objects, and its newest one. The first writes the pages for all.
const COMPILERS: [&str; 2] = ["clang", "clang-19"];

/// What stands in where `init` has no config for an object, so that `check` has its say, too.
const STAND_IN: &str =
    "metrics: {counters: [{name: calls_total, help: h, labels: [{name: id, size: 4, decoders: [uint]}]}]}\n";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/corpus")
}

/// The names of all objects.
pub fn names() -> Vec<String> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> =
        files.filter_map(|file| Some(file.to_str()?.strip_suffix(".bpf.c")?.to_owned())).collect();
    names.sort();
    names
}

/// An object of the corpus, compiled by the first compiler.
#[track_caller]
pub fn object(name: &str) -> PathBuf {
    compiled(COMPILERS[0], name)
}

#[track_caller]
fn compiled(compiler: &str, name: &str) -> PathBuf {
    objects::compile_file(compiler, &folder().join(format!("{name}.bpf.c")))
}

/// The kernel that objects are checked for, whichever one runs the tests.
#[track_caller]
pub fn kernel() -> PathBuf {
    objects::compile_file(COMPILERS[0], &folder().join("kernel.c"))
}

/// An object in a folder of its own, beside the kernel that it is meant for.
struct Bench {
    name: String,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(compiler: &str, name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(compiled(compiler, name), folder.path().join(format!("{name}.bpf.o"))).unwrap();
        std::fs::copy(kernel(), folder.path().join("vmlinux")).unwrap();
        Self { name: name.to_owned(), folder }
    }

    /// All that a command says, and its exit code where that is not 0.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(exporter::binary())
            .current_dir(self.folder.path())
            .args(arguments)
            .output()
            .unwrap();
        let mut text = String::from_utf8(output.stdout).unwrap();
        text += &String::from_utf8(output.stderr).unwrap();
        if !output.status.success() {
            text += &format!("# exit code {}\n", output.status.code().unwrap());
        }
        (output.status.code(), text)
    }

    fn inspect(&self) -> String {
        let (_, text) = self.run(&["inspect", "--relocations", &format!("{}.bpf.o", self.name)]);
        without_counts(&text)
    }

    fn init(&self) -> String {
        let (code, text) = self.run(&["init", &format!("{}.bpf.o", self.name)]);
        let config = if code == Some(0) { text.as_str() } else { STAND_IN };
        std::fs::write(self.folder.path().join(format!("{}.yaml", self.name)), config).unwrap();
        text
    }

    /// Of what `init` wrote.
    fn check(&self) -> String {
        self.run(&["check", "--btf=vmlinux", &format!("{}.yaml", self.name)]).1
    }
}

/// How many instructions a function takes is the compiler's version's business.
fn without_counts(text: &str) -> String {
    let mut in_functions = false;
    let lines = text.lines().map(|line| {
        in_functions = (in_functions || line.contains("INSTRUCTIONS")) && !line.is_empty();
        match line.split_once(" instruction") {
            Some((before, after)) if before.starts_with("  size") => {
                format!("  size          N instruction{after}")
            }
            _ if in_functions => line.replace(|letter: char| letter.is_ascii_digit(), " "),
            _ => match line.rsplit_once('+') {
                Some((before, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                    format!("{before}+N")
                }
                _ => line.to_owned(),
            },
        }
    });
    lines.map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// What the commands print of an object, by the names of their pages.
fn pages(compiler: &str, name: &str) -> [(String, String); 3] {
    let bench = Bench::new(compiler, name);
    let (inspect, init, check) = (bench.inspect(), bench.init(), bench.check());
    [
        (format!("inspect/{name}.txt"), inspect),
        (format!("init/{name}.yaml"), init),
        (format!("check/{name}.txt"), check),
    ]
}

/// Does something with every object at once, and says what failed.
#[track_caller]
fn for_each(work: impl Fn(&str) -> Vec<String> + Sync) {
    let (names, next, failed) = (names(), AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                    failed.lock().unwrap().extend(work(name));
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn pages_of_inspect_have_80_columns() {
    for_each(|name| {
        let Ok(object) = ObjectInfo::parse(&std::fs::read(object(name)).unwrap()) else { return Vec::new() };
        let page = Report::new(&format!("{name}.bpf.o"), &object).to_text(true);
        let wide = page.lines().filter(|line| line.chars().count() > 80);
        wide.map(|line| format!("{name}: {line}")).collect()
    });
}

#[test]
fn there_are_objects_of_every_kind() {
    assert!(names().len() >= 30, "{:?}", names());
}

#[test]
fn no_page_is_left_of_an_object_that_is_gone() {
    let names = names();
    let is_left = |page: &String| {
        let name = page.split('.').next().unwrap_or_default();
        !names.iter().any(|known| known == name) && !name.starts_with("shipped-")
    };
    for command in ["inspect", "init", "check"] {
        let left: Vec<String> = golden::pages(command).into_iter().filter(is_left).collect();
        assert!(left.is_empty(), "{command}: {left:?}");
    }
}

#[test]
fn pages_are_the_golden_ones() {
    for_each(|name| {
        let mut pages_by_compiler = COMPILERS.iter().map(|compiler| (compiler, pages(compiler, name)));
        let (_, first) = pages_by_compiler.next().unwrap();
        let mut wrong: Vec<String> = Vec::new();
        for (page, text) in &first {
            wrong.extend(golden::differs(page, text));
        }
        for (compiler, pages) in pages_by_compiler {
            for ((page, text), (_, of_first)) in pages.iter().zip(&first) {
                let (stem, kind) = page.rsplit_once('.').unwrap();
                wrong.extend(golden::differs_from(&format!("{stem}.{compiler}.{kind}"), of_first, text));
            }
        }
        wrong
    });
}
