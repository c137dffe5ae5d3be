use std::path::{Path, PathBuf};
use std::process::Command;

use bpftally::bpf::{self, Loaded};
use bpftally::spec::{Attach, Binaries, Uprobe, Usdt};

use super::{load_placed, placed};
use crate::common::kernel::{host, load_spec, run, total, with_mounts, with_tracefs};

/// A library with two functions and a probe, and a program that calls each so many times as it is told.
const LIBRARY: &str = r#"
__asm__(
    ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"
    ".weak _.stapsdt.base\n.hidden _.stapsdt.base\n_.stapsdt.base: .space 1\n.size _.stapsdt.base, 1\n.popsection\n");
__attribute__((noinline)) int probed_one(int x) { __asm__ volatile(""); return x + 1; }
__attribute__((noinline)) int probed_two(int x)
{
    __asm__ volatile("990: nop\n.pushsection .note.stapsdt,\"\",\"note\"\n.balign 4\n.4byte 992f-991f, 994f-993f, 3\n"
        "991: .asciz \"stapsdt\"\n992: .balign 4\n993: .8byte 990b\n.8byte _.stapsdt.base\n.8byte 0\n"
        ".asciz \"bpftally\"\n.asciz \"twice\"\n.asciz \"\"\n994: .balign 4\n.popsection\n");
    return x + 2;
}
"#;

const CALLER: &str = r#"
#include <stdlib.h>
#include <unistd.h>
int probed_one(int), probed_two(int);
int main(int argc, char **argv)
{
    for (int i = 0; i < atoi(argv[1]); i++) {
        probed_one(i);
        probed_two(i);
        getppid();
    }
    return 0;
}
"#;

/// Counts, whatever it is attached to.
fn counter(section: &str) -> String {
    format!(
        r#"
        #include <stdbool.h>
        #include <asm/ptrace.h>
        #include <bpf/usdt.bpf.h>
        struct {{ __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); }} calls SEC(".maps");
        SEC("{section}") int called(void *context)
        {{
            u32 zero = 0;
            u64 *slot = bpf_map_lookup_elem(&calls, &zero);
            if (slot)
                __sync_fetch_and_add(slot, 1);
            return 0;
        }}"#
    )
}

/// A folder with the library and its caller.
struct Target {
    folder: tempfile::TempDir,
}

impl Target {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let target = Self { folder };
        std::fs::write(target.path("library.c"), LIBRARY).unwrap();
        std::fs::write(target.path("caller.c"), CALLER).unwrap();
        target.build("libprobed.so");
        let flags = ["-O1", "-L.", "-lprobed", "-Wl,-rpath,$ORIGIN", "-o", "caller"];
        target.compile("caller.c", &flags);
        target
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn compile(&self, source: &str, flags: &[&str]) {
        let status = Command::new("clang").current_dir(self.folder.path()).arg(source).args(flags).status();
        assert!(status.unwrap().success());
    }

    /// Builds the library as a file of its own.
    fn build(&self, name: &str) {
        let new = format!("{name}.new");
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        self.compile("library.c", &["-O1", "-shared", "-fPIC", "-o", &new]);
        std::fs::rename(self.path(&new), self.path(name)).unwrap();
    }

    fn call(&self, times: u32) {
        self.call_of(Path::new("."), times);
    }

    /// Has the caller use the library of another folder.
    fn call_of(&self, library: &Path, times: u32) {
        let folder = self.folder.path().join(library);
        let status = Command::new(self.path("caller"))
            .arg(times.to_string())
            .env("LD_PRELOAD", folder.join("libprobed.so"))
            .status();
        assert!(status.unwrap().success());
    }
}

fn binaries(files: &[&str], roots: &[&str]) -> Binaries {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Binaries { files: texts(files), roots: texts(roots), process: None }
}

pub fn uprobe(file: &str, function: &str) -> Attach {
    Attach::Uprobe(Uprobe { binaries: binaries(&[file], &[]), function: function.into(), offset: 0 })
}

#[track_caller]
fn check(loaded: &Loaded, expected: u64) {
    assert_eq!(total(loaded, "calls"), expected);
}

#[test]
fn functions_of_a_library_are_counted() {
    let target = Target::new();
    let library = target.text("libprobed.so");
    for (section, function, of_each) in [
        ("uprobe", "probed_one", 1),
        ("uretprobe", "probed_two", 1),
        ("uprobe.multi", "probed_*", 2),
        ("uretprobe.multi", "probed_one", 1),
    ] {
        let loaded = load_placed(&counter(section), &[("called", uprobe(&library, function))]);
        target.call(100);
        check(&loaded, 100 * of_each);
        assert_eq!(loaded.verdicts()[0].reason, "at 1 place", "{section}");
        loaded.retire();
    }
}

#[test]
fn a_library_of_the_system_is_found_by_its_name() {
    let target = Target::new();
    let loaded = load_placed(&counter("uprobe"), &[("called", uprobe("libc.so.6", "getppid"))]);
    let before = total(&loaded, "calls");
    target.call(50);
    // Others of this machine may call it as well.
    assert!(total(&loaded, "calls") - before >= 50);
}

/// Of one process alone nobody else counts.
#[test]
fn one_process_may_be_meant() {
    let target = Target::new();
    let mut sleeper = Command::new("sleep").arg("600").spawn().unwrap();
    let process = Some(i32::try_from(sleeper.id()).unwrap());
    let binaries = Binaries { process, ..binaries(&[&target.text("libprobed.so")], &[]) };
    let place = Attach::Uprobe(Uprobe { binaries, function: "probed_one".into(), offset: 0 });
    let loaded = load_placed(&counter("uprobe"), &[("called", place)]);
    target.call(10);
    check(&loaded, 0);
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
}

/// Files that match later, and files that are replaced, as by an update of their package.
#[test]
fn files_are_followed() {
    let target = Target::new();
    let place = uprobe(&target.text("v*/libprobed.so"), "probed_one");
    let mut loaded = load_placed(&counter("uprobe"), &[("called", place)]);
    assert_eq!(loaded.link_count(), 0);
    target.build("v1/libprobed.so");
    assert!(loaded.follow(&host()) && !loaded.follow(&host()));
    target.call_of(Path::new("v1"), 3);
    check(&loaded, 3);
    target.build("v2/libprobed.so");
    target.build("v1/libprobed.so");
    assert!(loaded.follow(&host()));
    assert_eq!(loaded.link_count(), 2);
    for folder in ["v1", "v2"] {
        target.call_of(Path::new(folder), 5);
    }
    target.call(100);
    check(&loaded, 13);
}

#[test]
fn containers_are_looked_into_by_their_roots() {
    let target = Target::new();
    for root in ["one", "two"] {
        target.build(&format!("{root}/usr/lib/libprobed.so"));
    }
    let binaries = binaries(&["libprobed.so"], &[&target.text("*")]);
    let place = Attach::Uprobe(Uprobe { binaries, function: "probed_two".into(), offset: 0 });
    let loaded = load_placed(&counter("uprobe"), &[("called", place)]);
    assert_eq!(loaded.link_count(), 2);
    for root in ["one", "two"] {
        target.call_of(Path::new(&format!("{root}/usr/lib")), 4);
    }
    check(&loaded, 8);
}

/// Containers of one image have the same file in overlays of their own, and a probe of it counts in all of them.
#[test]
fn a_file_below_several_overlays_is_one_file() {
    let target = Target::new();
    with_mounts(|| {
        let layers = target.text("layers");
        std::fs::create_dir(&layers).unwrap();
        run("mount", &["-t", "tmpfs", "tmpfs", &layers]);
        target.build("layers/image/usr/lib/libprobed.so");
        for name in ["one", "two", "three"] {
            for kind in ["upper", "work", "root"] {
                std::fs::create_dir_all(target.path(&format!("layers/{kind}/{name}"))).unwrap();
            }
            let options = format!(
                "lowerdir={layers}/image,upperdir={layers}/upper/{name},workdir={layers}/work/{name}"
            );
            let root = target.text(&format!("layers/root/{name}"));
            run("mount", &["-t", "overlay", "overlay", "-o", &options, &root]);
        }
        // One of them has a file of its own.
        target.build("layers/root/three/usr/lib/libprobed.so");
        let binaries = || binaries(&["libprobed.so"], &[&format!("{layers}/root/*")]);
        let function =
            |name: &str| Attach::Uprobe(Uprobe { binaries: binaries(), function: name.into(), offset: 0 });
        let probe =
            Attach::Usdt(Usdt { binaries: binaries(), provider: "bpftally".into(), name: "twice".into() });
        for (section, place) in [
            ("uprobe", function("probed_one")),
            ("uretprobe", function("probed_one")),
            ("uprobe.multi", function("probed_o*")),
            ("usdt", probe),
        ] {
            let mut loaded = load_placed(&counter(section), &[("called", place)]);
            assert_eq!(loaded.link_count(), 2, "{section}");
            assert!(!loaded.follow(&host()), "{section}");
            for name in ["one", "two", "three"] {
                target.call_of(Path::new(&format!("layers/root/{name}/usr/lib")), 10);
            }
            check(&loaded, 30);
            loaded.retire();
        }
    });
}

#[test]
fn probes_of_several_files_are_counted() {
    let target = Target::new();
    target.build("other/libprobed.so");
    let files = [target.text("libprobed.so"), target.text("o*/libprobed.so")];
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let place = Attach::Usdt(Usdt {
        binaries: binaries(&files, &[]),
        provider: "bpftally".into(),
        name: "twice".into(),
    });
    let loaded = load_placed(&counter("usdt"), &[("called", place)]);
    assert_eq!(loaded.link_count(), 2);
    target.call(20);
    target.call_of(Path::new("other"), 30);
    check(&loaded, 50);
}

#[test]
fn what_is_not_there_is_said() {
    let target = Target::new();
    let check = |place: Attach, section: &str, message: &str, help: &str| {
        let spec = placed("places", &counter(section), &[("called", place)]);
        let loaded = bpf::load(&spec, &host(), &bpf::Options::default()).unwrap();
        let [problem] = loaded.problems() else { panic!("{:#?}", loaded.problems()) };
        assert!(problem.message.contains(message), "{problem:#?}");
        assert!(problem.help.as_deref().unwrap_or_default().contains(help), "{problem:#?}");
    };
    check(uprobe("/no/such/file", "main"), "uprobe", "`/no/such/file`", "/proc/*/root");
    check(uprobe("libno-such.so.6", "main"), "uprobe", "`libno-such.so.6`", "/proc/*/root");
    let library = target.text("libprobed.so");
    check(uprobe(&library, "probed_noe"), "uprobe", "no function `probed_noe`", "did you mean `probed_one`?");
    check(uprobe(&library, "zz*"), "uprobe.multi", "none of its functions matches `zz*`", "`nm -D`");
    check(uprobe(&target.text("library.c"), "probed_one"), "uprobe", "it is no ELF file", "interpreter");
    let offset = Uprobe { binaries: binaries(&[&library], &[]), function: String::new(), offset: 1 << 30 };
    check(Attach::Uprobe(offset), "uprobe", "Invalid argument", "`offset`");
    let probe = |name: &str| {
        let binaries = binaries(&[&library], &[]);
        Attach::Usdt(Usdt { binaries, provider: "bpftally".into(), name: name.into() })
    };
    check(probe("twcie"), "usdt", "no probe `bpftally:twcie`", "did you mean `bpftally:twice`?");
    let section = format!("uprobe/{library}:probed_noe+1");
    let spec = load_spec("places", &counter(&section));
    let loaded = bpf::load(&spec, &host(), &bpf::Options::default()).unwrap();
    let [problem] = loaded.problems() else { panic!("{:#?}", loaded.problems()) };
    assert_eq!(problem.help.as_deref(), Some("did you mean `probed_one`?"), "{problem:#?}");
}

#[test]
fn tracepoints_are_named_by_the_config() {
    with_tracefs(|| {
        let tracepoint = |name: &str| Attach::Tracepoint(name.to_owned());
        let source = r#"
            SEC("tracepoint") int of_tracefs(void *context) { return 0; }
            SEC("raw_tp") int raw(void *context) { return 0; }
            SEC("tp_btf") int typed(u64 *context) { return 0; }
            SEC("raw_tp/sys_enter") int elsewhere(void *context) { return 0; }
        "#;
        let places = [
            ("of_tracefs", tracepoint("sched/sched_process_exec")),
            ("raw", tracepoint("sched_process_exec")),
            ("typed", tracepoint("sched_process_exec")),
            ("elsewhere", tracepoint("sched_process_exit")),
        ];
        let loaded = load_placed(source, &places);
        assert_eq!(loaded.link_count(), 4);
        let wrong = [("raw", tracepoint("no_such")), places[0].clone(), places[2].clone()];
        let loaded = bpf::load(&placed("places", source, &wrong), &host(), &bpf::Options::default()).unwrap();
        let [problem] = loaded.problems() else { panic!("{:#?}", loaded.problems()) };
        assert!(problem.help.as_deref().unwrap().contains("no raw tracepoint `no_such`"), "{problem:#?}");
    });
}

/// Where the kernel's types do not have what is named, the object is not loaded, or the program left out.
#[test]
fn functions_are_looked_up_before_the_load() {
    let source = r#"
        SEC("fentry") int entered(u64 *context) { return 0; }
        SEC("raw_tp/sys_enter") int good(void *context) { return 0; }
    "#;
    let mut spec = placed("places", source, &[("entered", Attach::Function("no_such_function".into()))]);
    let problems = bpf::load(&spec, &host(), &bpf::Options::default()).unwrap_err();
    assert_eq!(problems[0].code, "attach-target", "{problems:#?}");
    assert_eq!(problems[0].place.program.as_deref(), Some("entered"));
    spec.programs[0].optional = true;
    let loaded = bpf::load(&spec, &host(), &bpf::Options::default()).unwrap();
    assert!(loaded.verdicts()[0].reason.contains("no_such_function"), "{:#?}", loaded.verdicts());
    assert_eq!(loaded.link_count(), 1);
}

/// Kprobes work on other kernels than this one, whose tests are in tests/guest.
#[test]
fn a_function_of_the_kernel_that_is_missing_is_said() {
    let source = r#"SEC("kprobe") int called(void *context) { return 0; }"#;
    let spec = placed("places", source, &[("called", Attach::Kprobe("no_such_function_here".into()))]);
    assert_ne!(spec.programs, load_spec("places", source).programs);
    let loaded = bpf::load(&spec, &host(), &bpf::Options::default()).unwrap();
    let [problem] = loaded.problems() else { panic!("{:#?}", loaded.problems()) };
    assert!(problem.message.contains("`no_such_function_here`"), "{problem:#?}");
}

/// What is said before the kernel is asked to attach anything, by its own lists of functions.
#[test]
fn patterns_of_functions_match_some_and_not_too_many() {
    let check = |pattern: &str, message: &str, help: &str| {
        for section in ["kprobe", "kretprobe"] {
            let source = format!(r#"SEC("{section}") int called(void *context) {{ return 0; }}"#);
            let spec = placed("places", &source, &[("called", Attach::Kprobe(pattern.into()))]);
            let loaded = bpf::load(&spec, &host(), &bpf::Options::default()).unwrap();
            let [problem] = loaded.problems() else { panic!("{:#?}", loaded.problems()) };
            assert!(problem.message.contains(message), "{pattern}: {problem:#?}");
            assert!(problem.message.contains(&format!("`{pattern}`")), "{problem:#?}");
            assert!(problem.help.as_deref().unwrap_or_default().contains(help), "{pattern}: {problem:#?}");
        }
    };
    check("vfs_falocate*", "no function of this kernel that takes probes matches", "`vfs_fallocate`");
    check("*", "functions of this kernel match it", "SEC(\"kprobe.multi\")");
}
